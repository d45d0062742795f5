from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hwrt.benchmark import bench as bench_module
from hwrt.cli import main
from hwrt.tuning.wish import Effort

Install = Callable[..., None]
Model = Callable[..., Path]
Captured = pytest.CaptureFixture[str]

EFFORT = Effort(
    min_seconds=0.01, min_samples=4, window_s=0.005, warm_up_s=0.05, compile_timeout_s=10.0
)


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "bench", functools.partial(bench_module.bench, effort=EFFORT))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["bench", *map(str, arguments)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_the_table_goes_to_stdout_and_nothing_to_stderr(
    install: Install, relu_model: Model, capsys: Captured
) -> None:
    install("Good", "Judge", "Wrong")

    code = run(relu_model())

    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert "* good" in out
    assert "rejected: output 'y': relative l2 error 0.02 exceeds 0.0001" in " ".join(out.split())


def test_json_without_a_file_prints_one_document_alone(
    install: Install, relu_model: Model, capsys: Captured
) -> None:
    install("Good", "Judge")

    code = run(relu_model(), "--json")

    document = json.loads(capsys.readouterr().out)
    assert (code, document["schema"], document["winner"]) == (0, "hwrt.bench/1", 0)


def test_json_with_a_file_writes_it_beside_the_table(
    install: Install, relu_model: Model, capsys: Captured, tmp_path: Path
) -> None:
    install("Good", "Judge")
    target = tmp_path / "report.json"

    code = run(relu_model(), "--json", target)

    assert code == 0
    assert json.loads(target.read_text())["schema"] == "hwrt.bench/1"
    assert "* good" in capsys.readouterr().out


def test_strict_fails_what_is_invalid(install: Install, relu_model: Model) -> None:
    install("Good", "Judge")

    assert run(relu_model(), "--strict") == 1


def test_that_nothing_works_is_code_1_with_the_reasons_in_the_table(
    install: Install, relu_model: Model, capsys: Captured
) -> None:
    install("Segfault", "Judge")

    code = run(relu_model())

    assert code == 1
    assert "killed by SIGSEGV" in " ".join(capsys.readouterr().out.split())


def test_no_candidate_at_all_is_code_1_with_the_reasons_on_stderr(
    install: Install, relu_model: Model, capsys: Captured
) -> None:
    install("Good")

    code = run(relu_model(), "--device", "npu")

    assert code == 1
    assert "good: it has no device 'npu'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.onnx"],
        ["--scenario", "server"],
        ["--preset", "endless"],
        ["--backend", "absent"],
        ["--json", "no-such-folder/report.json"],
        ["--json", "."],
    ],
    ids=" ".join,
)
def test_bad_usage_is_code_2_and_one_line(
    relu_model: Model, capsys: Captured, arguments: list[str]
) -> None:
    model = [] if arguments[0].endswith(".onnx") else [relu_model()]

    code = run(*model, *arguments)

    out, err = capsys.readouterr()
    assert (code, out, len(err.splitlines())) == (2, "", 1)


def test_a_model_that_json_takes_for_its_file_is_not_overwritten(
    relu_model: Model, capsys: Captured
) -> None:
    path = relu_model()
    before = path.read_bytes()

    code = run("--json", path)

    assert (code, path.read_bytes()) == (2, before)
    assert "MODEL goes before --json" in capsys.readouterr().err


def test_a_zoo_name_that_json_takes_for_its_file_is_refused(capsys: Captured) -> None:
    assert run("--json", "zoo:resnet50") == 2
    assert "MODEL goes before --json" in capsys.readouterr().err


def test_an_older_report_is_replaced(install: Install, relu_model: Model, tmp_path: Path) -> None:
    install("Good", "Judge")
    target = tmp_path / "report.json"
    target.write_text('{"schema": "old"}')

    run(relu_model(), "--json", target)

    assert json.loads(target.read_text())["schema"] == "hwrt.bench/1"


def test_a_batch_is_the_first_dimension_of_what_is_run(
    install: Install, relu_model: Model, capsys: Captured
) -> None:
    install("Good", "Judge")

    run(relu_model(("n", 16)), "--batch", 1, "--json")

    assert json.loads(capsys.readouterr().out)["shapes"] == {"x": [1, 16]}
