from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import hwrt
from hwrt.cli import main

Install = Callable[..., None]
Model = Callable[..., Path]
Captured = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["explain", *map(str, arguments)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def tuned(install: Install, relu_model: Model) -> Path:
    """A model with a plan in the cache: one right candidate, one wrong, one that crashes."""
    install("Good", "Judge", "Wrong", "Segfault", "Foreign")
    hwrt.tune(relu_model(), threads=1, budget_s=0.05)
    return relu_model()


def test_the_plan_is_told_with_every_candidate_and_its_reason(
    tuned: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code = run(tuned, "--threads", "1")

    text = capsys.readouterr().out
    assert code == 0
    assert text.startswith("relu.onnx: sha256 ")
    assert "* good cpu:0 1t" in text
    assert "rejected: output 'y': relative l2 error 0.02 exceeds 0.0001" in text
    assert "failed: segfault was killed by SIGSEGV in compile" in text
    assert "foreign" in text
    assert "not tried: it reads om, not onnx" in text
    assert "outputs checked against judge cpu:0" in text
    assert text.splitlines()[-1].startswith("good cpu:0 precision=f32 threads=1: ")


def test_the_json_is_one_document_with_its_schema(tuned: Path, capsys: Captured) -> None:
    code = run(tuned, "--threads", "1", "--json")

    document = json.loads(capsys.readouterr().out)
    assert (code, document["schema"]) == (0, "hwrt.explain/1")
    assert document["chosen"]["backend"] == "good"
    assert [one["outcome"] for one in document["candidates"]] == ["chosen", "rejected", "failed"]


def test_no_plan_is_code_1_and_says_how_to_make_one(
    install: Install, relu_model: Model, capsys: Captured
) -> None:
    install("Good", "Judge")
    code = run(relu_model())

    captured = capsys.readouterr()
    assert (code, captured.out) == (1, "")
    assert "there is no plan for relu.onnx in" in captured.err
    assert f"run `hwrt tune {relu_model()}`" in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_plan_for_something_else_is_named_by_what_differs(tuned: Path, capsys: Captured) -> None:
    code = run(tuned, "--threads", "2")

    assert code == 1
    assert "differs in threads: 1 there, 2 here" in capsys.readouterr().err


def test_why_it_was_measured_again_is_told(
    tuned: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    hwrt.tune(tuned, threads=1, budget_s=0.05)
    run(tuned, "--threads", "1")

    assert "measured again because: it was asked for" in capsys.readouterr().out


def test_a_plans_own_file_is_explained(tuned: Path, capsys: Captured, tmp_path: Path) -> None:
    path = hwrt.load(tuned, threads=1, tune="never").plan.save(tmp_path / "plan.json")
    code = run(path, "--json")

    assert (code, json.loads(capsys.readouterr().out)["chosen"]["backend"]) == (0, "good")


@pytest.mark.parametrize("arguments", [["none.onnx"], ["zoo:none"], ["--backend", "none"]])
def test_bad_input_is_code_2_and_one_line(
    tuned: Path, capsys: Captured, arguments: list[str]
) -> None:
    code = run(*arguments, *([tuned] if arguments[0] == "--backend" else []))

    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert len(captured.err.splitlines()) == 1
