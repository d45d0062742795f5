from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import hwrt
from hwrt.cli import main
from hwrt.cli.checkup import check_backend, check_installation, logged_warnings

Install = Callable[..., None]
Captured = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def document(capsys: Captured) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> str:
    name = "onnxruntime"
    pytest.importorskip(name, reason=f"{name} is not installed")
    monkeypatch.setenv("HWRT_BACKENDS", name)
    return name


def test_a_backend_that_answers_rightly_is_ok(engine: str) -> None:
    check = check_backend(engine)

    assert check.status == "ok"
    assert [device.status for device in check.devices] == ["ok"]
    assert check.version is not None


def test_each_step_is_timed_and_the_placement_told(engine: str) -> None:
    (device,) = check_backend(engine).devices

    assert set(device.steps_s) == {"import", "compile", "first_inference"}
    assert None not in device.steps_s.values()
    assert device.placement is not None
    assert device.placement.devices == (device.device.id,)


def test_one_working_backend_is_code_0(engine: str, capsys: Captured) -> None:
    code = run()

    assert code == 0
    assert f"1 of 1 backends work: {engine}" in capsys.readouterr().out


def test_the_json_is_one_document_with_its_schema(engine: str, capsys: Captured) -> None:
    code = run("--json")

    found = document(capsys)
    assert (code, found["schema"], found["ok"]) == (0, "hwrt.doctor/1", True)
    assert [backend["name"] for backend in found["backends"]] == [engine]
    assert {"machine", "kernels", "cache", "findings", "warnings"} <= set(found)


def test_a_wrong_answer_is_not_ok(install: Install) -> None:
    install("Good")  # right for a ReLU, and the check model is more than that

    check = check_backend("good")

    (device,) = check.devices
    assert (check.status, device.status) == ("failed", "wrong")
    assert device.reason is not None


def test_a_crash_is_a_line_and_the_others_are_still_checked(
    install: Install, capsys: Captured
) -> None:
    install("Segfault", "Raises")

    code = run("--json")

    found = document(capsys)
    reasons = {backend["name"]: backend["devices"][0]["reason"] for backend in found["backends"]}
    assert code == 1
    assert "killed by SIGSEGV" in reasons["segfault"]
    assert reasons["raises"] == "compile raised KeyError: 'no such layer'"


def test_that_nothing_works_is_code_1(install: Install, capsys: Captured) -> None:
    install("Leaves")

    code = run()

    assert code == 1
    assert "no backend works" in capsys.readouterr().out


def test_a_backend_without_its_vendor_is_told_with_the_mend(
    tmp_path: Path, install: Install, capsys: Captured
) -> None:
    install("Absent")
    plugin = tmp_path / "site-packages" / "faulty_backends.py"
    plugin.write_text(
        "from hwrt.backend import Backend, BackendUnavailable\n"
        "class Absent(Backend):\n"
        "    name, formats, api_version = 'absent', frozenset({'onnx'}), 1\n"
        "    def stamp(self):\n"
        "        raise BackendUnavailable('vendor is not installed', hint='pip install vendor')\n"
        "    def devices(self): return ()\n"
        "    def compile(self, *_, **__): pass\n"
    )

    code = run()

    out = capsys.readouterr().out
    assert code == 1
    assert "absent: unavailable\n  vendor is not installed\n  mend: pip install vendor\n" in out


def test_a_backend_of_another_model_format_is_unchecked_and_says_so(
    tmp_path: Path, install: Install
) -> None:
    install("Other")
    plugin = tmp_path / "site-packages" / "faulty_backends.py"
    plugin.write_text(
        plugin.read_text()
        + "\n\nclass Other(Good):\n"
        + "    name, formats, api_version = 'other', frozenset({'om'}), 1\n"
    )

    check = check_backend("other")

    assert (check.status, check.devices) == ("unchecked", ())
    assert check.reason == "it reads om: there is no check model of these"


def test_a_backend_whose_check_model_can_not_be_written_is_unchecked(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Converted")
    plugin = tmp_path / "site-packages" / "faulty_backends.py"
    plugin.write_text(
        plugin.read_text()
        + "\n\nclass Converted(Good):\n"
        + "    name, formats, api_version = 'converted', frozenset({'tflite'}), 1\n"
    )
    monkeypatch.setitem(sys.modules, "flatbuffers", None)

    check = check_backend("converted")

    assert (check.status, check.mend) == ("unchecked", "pip install flatbuffers")
    assert check.reason is not None
    assert check.reason.startswith("its check model can not be written: ")


def test_what_the_backend_diagnoses_is_told(tmp_path: Path, install: Install) -> None:
    install("Ill")
    plugin = tmp_path / "site-packages" / "faulty_backends.py"
    plugin.write_text(
        plugin.read_text()
        + "\n\nfrom hwrt.backend import Finding\n\n\nclass Ill(Good):\n"
        + "    name, api_version = 'ill', 1\n"
        + "    def diagnose(self):\n"
        + "        return [Finding('a cable is loose', 'plug it in', fatal=True)]\n"
    )

    (finding,) = check_backend("ill").findings

    assert (finding.fault, finding.mend, finding.fatal) == ("a cable is loose", "plug it in", True)


def test_a_fault_that_stops_probe_and_diagnosis_alike_is_told_once(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good")
    monkeypatch.setenv("HWRT_PYTHON", "/nonexistent")

    check = check_backend("good")

    assert (check.status, check.findings) == ("failed", ())
    assert "/nonexistent can not be started" in (check.reason or "")


def test_a_sound_installation_has_no_findings() -> None:
    assert check_installation() == ()


def test_the_other_distribution_of_the_name_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hwrt-0.1.212.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: hwrt\nVersion: 0.1.212\n")
    monkeypatch.syspath_prepend(tmp_path)

    (finding,) = check_installation()

    assert finding.fatal
    assert "handwriting recognition" in finding.fault
    assert "pip install hwrt" not in finding.mend


def test_a_package_of_another_version_than_was_installed_is_recognised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hwrt, "__version__", "0.0.0")

    (finding,) = check_installation()

    assert f"installed as {metadata.version('hwrt-runtime')}" in finding.fault


def test_warnings_are_collected_and_not_printed(capsys: Captured) -> None:
    with logged_warnings() as texts:
        logging.getLogger("hwrt").warning("no cache: %s", "/x")

    assert texts == ["no cache: /x"]
    assert capsys.readouterr().err == ""
    assert logging.getLogger("hwrt").propagate
