"""What was judged is what is served, where the backend keeps a compiled file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import hwrt
from hwrt import files
from hwrt.cli import main
from hwrt.files import publish, temporary_beside

pytestmark = pytest.mark.slow  # each tunes anew, in child processes

Texts = Callable[[], list[str]]


@pytest.fixture
def engine(model: Path, cache_root: Path, noted: Texts) -> Path:
    """The compiled file of the plan that a load made."""
    options = hwrt.load(model, threads=1).plan.options
    noted()
    (found,) = [
        path
        for path in (cache_root / "compiled").rglob("engine.bin")
        if path.read_text() == f"engine {options}"
    ]
    return found


def replace(engine: Path, content: str) -> None:
    """Put another engine in its place, as a process with another build of the vendor would."""
    with temporary_beside(engine) as temporary:
        temporary.write_text(content)
        publish(temporary, engine)


def test_the_plan_names_the_file_that_was_judged(engine: Path, model: Path) -> None:
    plan = hwrt.load(model, threads=1).plan

    assert plan.artefact_sha256 == hashlib.sha256(engine.read_bytes()).hexdigest()
    assert f'"artefact_sha256": "{plan.artefact_sha256}"' in plan.to_json()


def test_a_file_that_is_another_one_is_compiled_anew_with_a_warning(
    engine: Path, model: Path, noted: Texts, messages: Texts
) -> None:
    replace(engine, "another engine")
    session = hwrt.load(model, threads=1)

    assert "engine.bin is not what was judged, and is compiled anew" in messages()[0]
    compiled = f"compile {session.plan.options}"
    assert noted() == [compiled, compiled, "build"]
    assert engine.read_text().startswith("engine ")
    assert session.plan.unverified is None


def test_a_vendor_that_builds_another_file_is_measured_anew(
    engine: Path, model: Path, monkeypatch: pytest.MonkeyPatch, messages: Texts
) -> None:
    monkeypatch.setenv("HWRT_TEST_ENGINE", "a less lucky engine")
    engine.unlink()
    plan = hwrt.load(model, threads=1).plan

    assert "compiles to is not what was judged; it is measured anew" in messages()[-1]
    assert plan.artefact_sha256 == hashlib.sha256(engine.read_bytes()).hexdigest()
    (again,) = plan.measured_again
    assert again.endswith("compiles to is not what was judged")


def test_where_nothing_may_be_tuned_another_file_is_served_and_said(
    engine: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWRT_TEST_ENGINE", "a less lucky engine")
    engine.unlink()
    plan = hwrt.load(model, threads=1, tune="never").plan

    assert plan.unverified == "it was compiled to another file than the one judged"


def test_a_file_that_went_is_built_again_without_a_word(
    engine: Path, model: Path, noted: Texts, messages: Texts
) -> None:
    engine.unlink()
    session = hwrt.load(model, threads=1)

    assert noted() == [f"compile {session.plan.options}", "build"]
    assert messages() == []


def test_a_backend_without_such_a_file_has_nothing_to_be_held_against(
    model: Path, monkeypatch: pytest.MonkeyPatch, messages: Texts
) -> None:
    monkeypatch.setenv("HWRT_TEST_NO_ENGINE", "1")
    hwrt.load(model, threads=1)

    assert hwrt.load(model, threads=1).plan.artefact_sha256 is None
    assert messages() == []


def test_verifying_reads_the_compiled_file_that_looks_unchanged(
    engine: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_COARSEST_CLOCK_NS", -10_000_000_000)
    hwrt.load(model, threads=1)
    read: list[Path] = []
    digest = files.digest
    monkeypatch.setattr(files, "digest", lambda path: read.append(path) or digest(path))
    hwrt.load(model, threads=1)
    before = list(read)
    hwrt.load(model, threads=1, verify=True)

    assert (before, read) == ([], [engine])


def test_verifying_hashes_the_model_that_looks_unchanged(
    engine: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwrt.model import memo

    monkeypatch.setattr(memo, "_COARSEST_CLOCK_NS", -10_000_000_000)
    before = model.stat()
    # A changed bit in a weight's place, on a file system whose times are set back with the file.
    known = memo._states
    states = known((model,))
    model.write_bytes(model.read_bytes().replace(b"relu", b"RELU"))
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    monkeypatch.setattr(memo, "_states", lambda paths: states)
    believed = hwrt.load(model, threads=1, tune="never").info.sha256

    assert believed != hwrt.load(model, threads=1, verify=True).info.sha256


def test_the_list_of_the_cache_names_the_model_of_a_compiled_file(
    engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["cache", "list", "--json"])

    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [one["model"] for one in entries if one["path"] == str(engine.parent)] == ["relu.onnx"]
