from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from hwrt import registry
from hwrt.backend import Backend
from hwrt.errors import BackendUnavailable, HwrtError, InputError
from hwrt.spec import Device

SOUND = """
from hwrt.backend import Backend, Device

class {cls}(Backend):
    name = "{name}"
    formats = frozenset({{"onnx"}})
    api_version = 1

    def stamp(self):
        return "{name} 1.0"

    def devices(self):
        return [Device("cpu")]

    def compile(self, model, device, **arguments):
        raise NotImplementedError
"""

Install = Callable[..., None]


def sound(name: str) -> str:
    return SOUND.format(name=name, cls="Plugin")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages folder on sys.path, a registry that has read nothing, no vendor in sight."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(registry, "_found", None)
    monkeypatch.setattr(registry, "_instances", {})
    return folder


@pytest.fixture
def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with one backend as pip would, and lets it be considered."""
    names: list[str] = []

    def install_plugin(
        name: str, source: str, *, distribution: str | None = None, value: str | None = None
    ) -> None:
        distribution = distribution or f"{name}-plugin"
        module = f"plugin_{distribution.replace('-', '_')}_{site.parent.name}"
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        metadata = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        value = value or f"{module}:Plugin"
        (metadata / "entry_points.txt").write_text(f"[hwrt.backends]\n{name} = {value}\n")
        names.append(name)
        monkeypatch.setenv("HWRT_BACKENDS", ",".join(names))

    return install_plugin


def status_of(name: str) -> registry.BackendStatus:
    (status,) = [status for status in registry.backends() if status.name == name]
    return status


def test_installed_plugin_is_found_with_its_version_and_devices(install: Install) -> None:
    install("acme", sound("acme"))

    assert [
        registry.BackendStatus(
            "acme", "acme 1.0", True, (Device("cpu"),), distribution="acme-plugin"
        )
    ] == registry.backends()


def test_hwrts_own_backends_are_found_as_any_other() -> None:
    assert {"onnxruntime", "openvino"} <= set(registry.names())


def test_backend_is_made_once(install: Install) -> None:
    install("acme", sound("acme"))

    assert isinstance(registry.backend("acme"), Backend)
    assert registry.backend("acme") is registry.backend("acme")


def test_unknown_name_is_an_input_error_that_lists_the_known_ones(install: Install) -> None:
    install("acme", sound("acme"))

    with pytest.raises(InputError, match=r"no backend 'acne' \(there are acme\)"):
        registry.backend("acne")


def test_listing_names_imports_no_plugin(install: Install) -> None:
    install("acme", "raise AssertionError('imported')")

    assert registry.names() == ("acme",)


FAULTS = {
    "does not import": (
        "import no_such_vendor",
        "does not import: ModuleNotFoundError.*no_such_vendor",
    ),
    "is no Python": ("def", "does not import: SyntaxError"),
    "exits on import": ("raise SystemExit(3)", "does not import: SystemExit: 3"),
    "has no such class": ("", "does not import: AttributeError"),
    "is a function": ("def Plugin(): ...", "is not a class derived from hwrt.backend.Backend"),
    "is another class": ("class Plugin: ...", "is not a class derived from hwrt.backend.Backend"),
    "is abstract": (
        sound("faulty").replace("def compile", "def compile_it"),
        r"Plugin\(\) raised TypeError.*compile",
    ),
    "raises in __init__": (
        sound("faulty") + "    def __init__(self): raise RuntimeError('no licence')\n",
        r"Plugin\(\) raised RuntimeError: no licence",
    ),
    "raises in stamp": (
        sound("faulty") + "    def stamp(self): raise OSError('no driver')\n",
        r"its stamp\(\) raised OSError: no driver",
    ),
    "raises in devices": (
        sound("faulty") + "    def devices(self): raise ValueError('bad id')\n",
        r"its devices\(\) raised ValueError: bad id",
    ),
    "returns no sequence of devices": (
        sound("faulty") + "    def devices(self): return None\n",
        r"its devices\(\) raised TypeError",
    ),
    "has no device": (
        sound("faulty") + "    def devices(self): return []\n",
        "it lists no device",
    ),
    "has another api_version": (
        sound("faulty").replace("api_version = 1", "api_version = 2"),
        "written for version 2 of the contract, this is 1",
    ),
    "inherits its api_version": (
        sound("faulty").replace("class Plugin", "class Base") + "\nclass Plugin(Base): ...\n",
        "written for version None of the contract",
    ),
    "has another name": (
        sound("faulty").replace('name = "faulty"', 'name = "innocent"'),
        "calls itself 'innocent', its entry point 'faulty'",
    ),
    "has no name": (sound("faulty").replace('    name = "faulty"\n', ""), "calls itself None"),
    "has no formats": (
        sound("faulty").replace('    formats = frozenset({"onnx"})\n', ""),
        "does not say which model formats",
    ),
}


@pytest.mark.parametrize(("source", "reason"), FAULTS.values(), ids=FAULTS)
def test_plugin_that_can_not_be_used_is_one_status_and_no_harm_to_others(
    install: Install, source: str, reason: str
) -> None:
    install("faulty", source)
    install("good", sound("good"))
    faulty, good = registry.backends()

    assert (faulty.name, faulty.available, faulty.devices) == ("faulty", False, ())
    assert faulty.distribution == "faulty-plugin"
    assert_matches(reason, faulty.reason)
    assert good.available


@pytest.mark.parametrize(
    "fault", ["does not import", "raises in __init__", "has another api_version"]
)
def test_asking_for_a_plugin_that_can_not_be_used_says_why(install: Install, fault: str) -> None:
    source, reason = FAULTS[fault]
    install("faulty", source)

    with pytest.raises(BackendUnavailable, match=reason):
        registry.backend("faulty")


def test_plugins_own_reason_and_hint_are_kept(install: Install) -> None:
    unavailable = (
        'from hwrt.backend import BackendUnavailable as B; raise B("no acme", hint="get acme")'
    )
    install("acme", sound("acme") + f"    def devices(self): {unavailable}\n")
    status = status_of("acme")

    assert (status.version, status.reason, status.hint) == ("acme 1.0", "no acme", "get acme")


def test_name_claimed_by_two_distributions_is_of_neither(install: Install) -> None:
    install("acme", sound("acme"), distribution="first")
    install("acme", sound("acme"), distribution="second")
    install("good", sound("good"))
    acme, good = registry.backends()

    assert not acme.available
    assert_matches(
        "'acme' is claimed by .*:Plugin of (first and|second and) .*:Plugin of", acme.reason
    )
    assert acme.hint == "uninstall all but one of them"
    assert {"first", "second"} == set((acme.distribution or "").split(" and "))
    assert good.available


def test_folder_twice_on_the_path_is_one_claim(
    install: Install, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme", sound("acme"))
    monkeypatch.syspath_prepend(site)
    monkeypatch.syspath_prepend(f"{site}/../{site.name}")

    assert status_of("acme").available


@pytest.mark.parametrize("value", ["b", " b ,", "b,b", ",b"])
def test_hwrt_backends_limits_what_is_considered(
    install: Install, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    install("a", sound("a"))
    install("b", sound("b"))
    monkeypatch.setenv("HWRT_BACKENDS", value)

    assert registry.names() == ("b",)
    with pytest.raises(InputError, match="no backend 'a'"):
        registry.backend("a")


def test_hwrt_backends_with_an_unknown_name_is_an_input_error(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme", sound("acme"))
    monkeypatch.setenv("HWRT_BACKENDS", "acme,acne")

    with pytest.raises(InputError, match=r"HWRT_BACKENDS names 'acne'.*installed are acme"):
        registry.names()


@pytest.mark.parametrize("value", [",", " "])
def test_hwrt_backends_without_a_name_is_an_input_error(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HWRT_BACKENDS", value)

    with pytest.raises(InputError, match="which names no backend"):
        registry.names()


def test_empty_hwrt_backends_limits_nothing(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme", sound("acme"))
    monkeypatch.setenv("HWRT_BACKENDS", "")

    assert {"acme", "onnxruntime", "openvino"} <= set(registry.names())


def test_importing_the_registry_reads_no_metadata() -> None:
    code = "import sys, hwrt.registry; print('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_fault_of_a_status_is_never_an_exception(install: Install) -> None:
    for number, (source, _) in enumerate(FAULTS.values()):
        install(f"faulty{number}", source)

    assert {status.available for status in registry.backends()} == {False}
    assert all(status.reason for status in registry.backends())


def assert_matches(pattern: str, text: str | None) -> None:
    with pytest.raises(HwrtError, match=pattern):
        raise HwrtError(text or "no reason at all")
