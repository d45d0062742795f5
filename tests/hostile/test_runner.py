"""The harness sees what it is there to see."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.hostile import traced
from tests.hostile.bases import made_bases
from tests.hostile.cases import Case
from tests.hostile.runner import FINDINGS, READER, Outcome, Runner, cases, digest

pytest.importorskip("ai_edge_litert", reason="its schema writes the TFLite model to damage")

FAULTS = {
    "with_another_exception": "exception",
    "that_exits": "exception",
    "that_crashes": "crash",
    "that_computes_for_ever": "time",
    "that_waits_for_ever": "time",
    "that_fills_memory": "memory",
    "that_reads_elsewhere": "outside",
    "that_reads_elsewhere_through_a_link": "outside",
    "with_another_dtype": "unconfirmed",
    "with_another_shape": "unconfirmed",
    "with_another_count": "unconfirmed",
    "with_a_file_from_elsewhere": "unconfirmed",
}
ONNX = made_bases()[0]
SOUND = Case(ONNX.name, ONNX.format, "none", ONNX.main, ONNX.files)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Outcome]]:
    """Runs the sound model through a reader."""
    runners = []

    def outcome(reader: str = READER, case: Case = SOUND) -> Outcome:
        runner = Runner(tmp_path, reader, wall_s=4.0 if "waits" in reader else 60.0)
        runners.append(runner)
        with closing(runner):
            return runner.run(case)

    yield outcome
    for runner in runners:
        runner.close()


@pytest.mark.parametrize(("fault", "kind"), FAULTS.items())
def test_a_broken_reader_is_seen(fault: str, kind: str, run: Callable[..., Outcome]) -> None:
    found = run(f"tests.hostile.broken_readers:{fault}")

    assert kind == found.kind, found
    assert kind in FINDINGS


@pytest.mark.parametrize(
    ("reader", "seen"),
    [("tests.hostile.broken_readers:that_reads_elsewhere_in_c", ["canary.bin"]), (READER, [])],
)
def test_what_a_c_library_opens_elsewhere_is_seen(
    reader: str, seen: list[str], tmp_path: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    record, folder = tmp_path / "strace", tmp_path / "scratch"
    with closing(Runner(folder, reader, traced.command(record), wall_s=60.0)) as runner:
        outcome = runner.run(SOUND)
    if not record.exists() or not record.stat().st_size:
        pytest.skip("strace may not trace here: it needs the right to ptrace")

    found = traced.outside(record, folder / "case" / "model")

    assert "confirmed" == outcome.kind
    assert seen == [Path(path).name for path in found]
    assert any(path.endswith("model.onnx") for path in traced.opened(record))


def test_after_a_crash_the_next_file_is_read(tmp_path: Path) -> None:
    with closing(Runner(tmp_path, "tests.hostile.broken_readers:that_crashes")) as runner:
        found = [runner.run(SOUND).kind, runner.run(SOUND).kind]

    assert ["crash", "crash"] == found


@pytest.mark.parametrize("base", made_bases(), ids=lambda base: base.name)
def test_a_sound_model_is_confirmed(base: object, run: Callable[..., Outcome]) -> None:
    case = Case(base.name, base.format, "none", base.main, base.files)

    assert Outcome("confirmed", "")[:2] == run(case=case)[:2]


def test_a_file_that_is_no_model_is_refused(run: Callable[..., Outcome]) -> None:
    case = SOUND._replace(files={SOUND.main: b"nothing"})

    assert "ModelError" == run(case=case).kind


def test_equal_seeds_make_equal_files() -> None:
    first, second = (
        [(case.mutator, digest(case.files)) for case in cases(made_bases(), 5, 60)]
        for _ in range(2)
    )

    assert first == second


def test_no_two_files_are_alike_and_none_is_sound() -> None:
    sound = [digest(base.files) for base in made_bases()]
    digests = [digest(case.files) for case in cases(made_bases(), 6, 300)]

    assert 300 + len(sound) == len({*digests, *sound})


def test_more_than_a_third_of_the_damage_knows_the_format() -> None:
    damage = [case.mutator.split(".")[0] for case in cases(made_bases(), 7, 300)]

    assert 150 < sum(kind != "bytes" for kind in damage)
