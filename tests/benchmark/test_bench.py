from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwrt.benchmark.bench import _effort, bench
from hwrt.benchmark.report import Report
from hwrt.errors import InputError, NoBackend, SessionError
from hwrt.measure.preset import PRESETS
from hwrt.tuning import onnx_reference
from hwrt.tuning.wish import Effort

Install = Callable[..., None]
Model = Callable[..., Path]

EFFORT = Effort(
    min_seconds=0.01, min_samples=80, window_s=0.005, warm_up_s=0.05, compile_timeout_s=10.0
)


def statuses(report: Report) -> dict[str, str]:
    return {
        result.measurement.candidate.backend: result.measurement.status for result in report.results
    }


def test_right_candidates_are_timed_and_wrong_ones_rejected(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge", "Wrong", "Segfault")

    report = bench(relu_model(), effort=EFFORT)

    assert statuses(report) == {"good": "ok", "wrong": "rejected", "segfault": "failed"}
    assert report.winner is not None
    assert report.results[report.winner].measurement.candidate.backend == "good"
    assert report.reference == "judge cpu:0 precision=f32"


def test_every_timed_candidate_has_its_samples_and_the_conditions_around_them(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge")

    (result,) = bench(relu_model(), effort=EFFORT).results

    assert len(result.measurement.samples_s) >= EFFORT.min_samples
    assert result.summary is not None
    assert result.summary.n == len(result.measurement.samples_s)
    assert result.span is not None


def test_a_run_shorter_than_its_preset_is_invalid(install: Install, relu_model: Model) -> None:
    install("Good", "Judge")

    report = bench(relu_model(), effort=EFFORT, preset="standard")

    assert not report.valid
    (result,) = report.results
    assert any(reason.startswith("too short: ") for reason in result.verdict.reasons)


def test_unchecked_outputs_make_a_result_invalid(
    install: Install, relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good")
    monkeypatch.setattr(onnx_reference, "unfit", lambda task: "onnx is not installed")

    (result,) = bench(relu_model(), effort=EFFORT).results

    assert result.verdict.reasons[0] == (
        "outputs not checked: no backend here offers a reference for this model; "
        "onnx is not installed"
    )


def test_the_report_says_what_it_was_run_on(install: Install, relu_model: Model) -> None:
    install("Good", "Judge")
    path = relu_model((1, "n"))

    report = bench(path, effort=EFFORT, shapes={"x": (1, 8)})

    assert (report.source, report.inputs) == (str(path), "seeded random, 3 sets")
    assert report.shapes == {"x": (1, 8)}


def test_given_samples_are_what_is_run(install: Install, relu_model: Model) -> None:
    install("Good", "Judge")
    samples = [{"x": np.ones((1, 16), np.float32)}]

    report = bench(relu_model(), effort=EFFORT, samples=samples)

    assert (report.inputs, report.shapes) == ("given, 1 set", {"x": (1, 16)})


def test_a_folder_of_samples_is_named(install: Install, relu_model: Model, tmp_path: Path) -> None:
    install("Good", "Judge")
    folder = tmp_path / "samples"
    folder.mkdir()
    np.save(folder / "a.npy", np.ones((1, 16), np.float32))

    report = bench(relu_model(), effort=EFFORT, samples=folder)

    assert report.inputs == f"1 set of the folder {folder}"


def test_bytes_are_benched_without_a_cache(install: Install, relu_model: Model) -> None:
    install("Good", "Judge")
    data = relu_model().read_bytes()

    report = bench(data, effort=EFFORT, cache=False)

    assert report.source == f"{len(data)} bytes of ONNX"
    assert statuses(report) == {"good": "ok"}
    assert not report.model.path.exists()


@pytest.mark.parametrize("scenario", ["server", "offline", "multi-stream"])
def test_another_scenario_is_not_available(relu_model: Model, scenario: str) -> None:
    with pytest.raises(InputError, match="is not available in this version"):
        bench(relu_model(), scenario=scenario)


def test_an_unknown_preset_is_an_error(relu_model: Model) -> None:
    with pytest.raises(InputError, match="no preset 'long'"):
        bench(relu_model(), preset="long")


def test_no_backend_at_all_is_an_error_with_each_reason(
    install: Install, relu_model: Model
) -> None:
    install("Good")

    with pytest.raises(NoBackend) as caught:
        bench(relu_model(), device="npu")

    assert caught.value.reasons == {"good": "it has no device 'npu': it has cpu:0"}


def test_a_progress_that_says_no_ends_the_bench(install: Install, relu_model: Model) -> None:
    install("Good", "Judge")

    with pytest.raises(SessionError, match="cancelled"):
        bench(relu_model(), effort=EFFORT, progress=lambda fraction, text: False)


def test_a_slow_candidate_is_timed_no_longer_than_its_bound(
    install: Install, relu_model: Model
) -> None:
    install("Slow", "Judge")
    effort = Effort(
        min_seconds=100.0, min_samples=2, max_seconds=0.2, window_s=0.05, warm_up_s=0.05
    )

    (result,) = bench(relu_model(), effort=effort).results

    assert 0.2 <= sum(result.measurement.samples_s) < 100.0


@pytest.mark.slow
def test_the_engines_of_this_machine_are_benched_on_a_zoo_model() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("openvino", reason="openvino is not installed")
    effort = Effort(min_seconds=0.1, min_samples=5, warm_up_s=0.2)

    report = bench("zoo:mobilenet_v3_small", effort=effort)

    right = {result.measurement.candidate.backend for result in report.measured}
    assert {"onnxruntime", "openvino"} <= right
    assert {result.measurement.precision for result in report.measured} == {"f32"}
    assert json.loads(report.dumps())["unverified"] is None


def test_one_of_a_backends_settings_is_timed_and_the_others_are_screened(
    install: Install, relu_model: Model
) -> None:
    install("Several", "Judge")
    effort = dataclasses.replace(EFFORT, prune=False, screen=2)

    report = bench(relu_model(), effort=effort)

    assert [result.screened for result in report.results] == [False, True, True, True]
    assert [len(result.measurement.windows) for result in report.results[1:]] == [2, 2, 2]
    assert report.winner == 0
    assert report.results[1].verdict.reasons == (
        "screened: another setting of the same backend and precision is faster",
    )


def test_the_presets_screen(install: Install, relu_model: Model) -> None:
    assert _effort(PRESETS["quick"]).screen == 3


def test_a_bench_for_throughput_tells_the_rate_of_requests_in_flight(
    install: Install, relu_model: Model
) -> None:
    install("Several", "Judge")

    report = bench(relu_model(), effort=EFFORT, objective="throughput", threads=2)

    assert report.winner is not None
    won = report.results[report.winner]
    assert won.to_json()["throughput_per_s"] == won.measurement.rate_per_s
