from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hwrt
from hwrt.cli import main

Install = Callable[..., None]
Model = Callable[..., Path]
Captured = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["tune", *map(str, arguments), "--budget", "0.05"])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_every_candidate_has_a_line_and_the_chosen_one_a_mark(
    install: Install, relu_model: Model, capsys: Captured
) -> None:
    install("Good", "Judge", "Wrong")

    code = run(relu_model())

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0].startswith("* good cpu:0 ")
    assert "wrong cpu:0" in lines[1]
    assert "rejected: output 'y'" in lines[1]
    assert lines[-1].startswith("plan: good cpu:0 ")


def test_relaxed_admits_reduced_precision_and_says_what_judged_it(
    install: Install, relu_model: Model, capsys: Captured, tmp_path: Path
) -> None:
    install("Judge", "Reduced")
    samples = tmp_path / "samples"
    samples.mkdir()
    scores = np.zeros((1, 16), np.float32)
    scores[0, 3] = 1
    np.save(samples / "a.npy", scores)

    code = run(relu_model(), "--accuracy", "relaxed", "--samples", samples)

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert any("reduced cpu:0 precision=bf16: lower quartile" in line for line in lines)
    assert any(line.startswith("judged by top-1: 0 wrong of 1, at most 95.0%") for line in lines)


def test_relaxed_without_samples_is_bad_usage(
    install: Install, relu_model: Model, capsys: Captured
) -> None:
    install("Good", "Judge")

    assert run(relu_model(), "--accuracy", "relaxed") == 2
    assert "accuracy is 'relaxed' and there are no samples" in capsys.readouterr().err


def test_the_json_is_the_plan(install: Install, relu_model: Model, capsys: Captured) -> None:
    install("Good", "Judge")

    run(relu_model(), "--json")

    assert hwrt.Plan.from_json(capsys.readouterr().out).backend == "good"


def test_the_output_is_a_plan_file(
    install: Install, relu_model: Model, capsys: Captured, tmp_path: Path
) -> None:
    install("Good", "Judge")
    target = tmp_path / "plan.json"

    run(relu_model(), "--output", target)

    assert json.loads(target.read_text())["schema"] == "hwrt.plan/1"
    assert hwrt.Plan.load(target).backend == "good"


def test_an_output_in_no_folder_is_told_before_the_work(
    relu_model: Model, capsys: Captured, tmp_path: Path
) -> None:
    assert run(relu_model(), "--output", tmp_path / "none" / "plan.json") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_output_that_is_no_plan_is_not_overwritten(relu_model: Model, capsys: Captured) -> None:
    path = relu_model()
    before = path.read_bytes()

    assert run(path, "--output", path) == 2
    assert path.read_bytes() == before
    assert "is not a JSON file and is not overwritten" in capsys.readouterr().err


def test_nothing_right_is_code_1_with_every_reason(
    install: Install, relu_model: Model, capsys: Captured
) -> None:
    install("Wrong", "Judge")

    code = run(relu_model())

    assert code == 1
    assert "rejected: output 'y'" in capsys.readouterr().err
