from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hwrt
from hwrt.errors import HwrtError, InputError, NoBackend, SessionError, UnsupportedModel
from hwrt.loading import choosing, origin

Install = Callable[..., None]
Model = Callable[..., Path]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing takes no longer than it must: these tests are not about it."""
    quick = choosing.Effort(min_seconds=0.01, min_samples=2, window_s=0.005, warm_up_s=0.05)
    monkeypatch.setattr(choosing, "Effort", lambda budget_s: replace(quick, budget_s=budget_s))


@pytest.fixture
def model(install: Install, relu_model: Model) -> Path:
    """A model that the backend ``good`` runs and the backend ``judge`` judges."""
    install("Good", "Judge")
    return relu_model()


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


def test_a_load_says_in_one_line_what_runs_where_and_why(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="hwrt"):
        hwrt.load(model, threads=1)

    expected = "relu.onnx: good cpu:0 precision=f32 threads=1, precision f32, measured"
    assert messages(caplog) == [expected]


def test_a_second_load_uses_the_plan_of_the_first(model: Path) -> None:
    first = hwrt.load(model, threads=1)
    second = hwrt.load(model, threads=1, tune="never")

    assert second.plan == first.plan


def test_without_a_cache_nothing_is_written(model: Path, tmp_path: Path) -> None:
    hwrt.load(model, threads=1, cache=False)

    assert not (tmp_path / "cache").exists()


def test_a_corrupt_plan_is_warned_of_and_measured_anew(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hwrt.load(model, threads=1)
    (stored,) = (tmp_path / "cache" / "plans").glob("*.json")
    stored.write_bytes(stored.read_bytes()[:-100])

    hwrt.load(model, threads=1)

    assert sum("is not used" in message for message in messages(caplog)) == 1
    assert json.loads(stored.read_text())["backend"] == "good"


def test_a_cached_plan_with_a_flipped_bit_is_measured_anew(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = hwrt.load(model, threads=1)
    (stored,) = (tmp_path / "cache" / "plans").glob("*.json")
    stored.write_text(stored.read_text().replace('"threads": 1', '"threads": 3', 1))
    second = hwrt.load(model, threads=1)

    assert second.plan.options == first.plan.options
    assert sum("damaged" in message for message in messages(caplog)) == 1


def test_a_plan_changed_by_hand_is_refused(model: Path, tmp_path: Path) -> None:
    path = hwrt.tune(model, threads=1, cache=False).save(tmp_path / "plan.json")
    path.write_text(path.read_text().replace('"precision": "f32"', '"precision": "bf16"', 1))

    with pytest.raises(InputError, match="changed by hand"):
        hwrt.load(model, plan=path)


def test_a_cached_plan_that_no_longer_works_is_measured_anew(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = hwrt.load(model, threads=1)
    compile_it = origin._compile
    faults = [hwrt.BackendFailure("the driver is gone")]

    def compile_or_fail(*arguments: object) -> object:
        if faults:
            raise faults.pop()
        return compile_it(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(origin, "_compile", compile_or_fail)
    second = hwrt.load(model, threads=1)

    assert second.plan.candidate == first.plan.candidate
    assert "no longer works: the driver is gone; it is measured anew" in messages(caplog)[-1]


def test_never_tuning_without_a_plan_names_what_differs(model: Path) -> None:
    hwrt.load(model, threads=1)

    with pytest.raises(InputError, match="the nearest one differs in threads: 1 there, 2 here"):
        hwrt.load(model, threads=2, tune="never")


def test_a_saved_plan_is_loaded_without_tuning(model: Path, tmp_path: Path) -> None:
    path = hwrt.tune(model, threads=1, cache=False).save(tmp_path / "plan.json")

    session = hwrt.load(model, plan=path, threads=1, cache=False)

    assert session.plan.candidate == hwrt.Plan.load(path).candidate


@pytest.mark.parametrize("field", ["model", "machine", "hwrt"])
def test_a_plan_for_something_else_is_refused_by_what_differs(model: Path, field: str) -> None:
    plan = hwrt.tune(model, threads=1, cache=False)
    foreign = replace(plan, key=replace(plan.key, **{field: "another"}))

    with pytest.raises(
        InputError, match=f"the plan was made for another {field}: {field}: another there"
    ):
        hwrt.load(model, plan=foreign)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"backend": "judge"}, "backend"),
        ({"device": "npu"}, "device"),
        ({"threads": 1}, "threads"),
        ({"max_memory_mb": 4000}, "max_memory_mb"),
    ],
)
def test_a_plan_that_is_not_what_is_asked_for_is_refused(
    model: Path, arguments: dict[str, object], name: str
) -> None:
    plan = hwrt.tune(model, threads=2, cache=False)

    with pytest.raises(InputError, match=f"{name}= asks for something else"):
        hwrt.load(model, plan=plan, **{"threads": 2, **arguments})  # type: ignore[arg-type]


def test_the_shape_of_the_file_is_no_other_wish(model: Path) -> None:
    plan = hwrt.tune(model, threads=1, cache=False)

    assert hwrt.load(model, plan=plan, shapes={"x": (1, 16)}).plan.candidate == plan.candidate


def test_a_plan_for_other_shapes_is_refused(install: Install, relu_model: Model) -> None:
    install("Good", "Judge")
    path = relu_model(("N", 16))
    plan = hwrt.tune(path, threads=1, cache=False, shapes={"x": (1, 16)})

    with pytest.raises(InputError, match="shapes= asks for something else"):
        hwrt.load(path, plan=plan, shapes={"x": (2, 16)})


def test_a_smaller_memory_limit_needs_a_plan_of_its_own(model: Path) -> None:
    hwrt.load(model, threads=1)

    with pytest.raises(NoBackend, match="raise max_memory_mb"):
        hwrt.load(model, threads=1, max_memory_mb=1)


def test_a_plugin_whose_stamp_raises_does_not_stop_the_others(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge", "Stampless")

    assert hwrt.load(relu_model(), threads=1).plan.backend == "good"


def test_a_plugin_with_a_wrong_candidate_does_not_stop_the_others(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge", "BadCandidates")

    plan = hwrt.load(relu_model(), threads=1).plan

    assert plan.backend == "good"
    assert "option 'threads' is 0" in plan.dropped["badcandidates"]


def test_inspecting_bytes_leaves_nothing_behind(model: Path) -> None:
    info = hwrt.inspect(model.read_bytes(), cache=False)

    assert info.inputs[0].name == "x"
    assert not info.path.exists()


def test_given_options_are_taken_exactly_and_called_unverified(model: Path) -> None:
    session = hwrt.load(model, backend="good", options={"precision": "f32"}, threads=3)

    assert dict(session.plan.options) == {"precision": "f32", "threads": 3}
    assert session.plan.unverified == "the options were given, so nothing was checked or measured"
    assert session.plan.measurements == ()


def test_options_without_their_backend_are_an_error(model: Path) -> None:
    with pytest.raises(InputError, match="options are one backend's"):
        hwrt.load(model, options={})


def test_options_of_a_backend_that_does_not_read_the_format_are_refused(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Foreign")

    with pytest.raises(
        UnsupportedModel,
        match=r"foreign does not read onnx \(installed backends that read onnx: good\)",
    ):
        hwrt.load(relu_model(), backend="foreign", options={})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "foreign"}, "no backend can run zoo:mobilenet_v3_small as asked"),
        ({"backend": "raises"}, "no candidate runs zoo:mobilenet_v3_small rightly"),
        ({"tune": "never"}, "there is no plan for zoo:mobilenet_v3_small on this machine"),
    ],
    ids=["unread", "not run", "no plan"],
)
def test_errors_call_a_zoo_model_as_the_user_did(
    install: Install, arguments: dict[str, str], message: str
) -> None:
    install("Foreign", "Raises")

    with pytest.raises(HwrtError, match=message):
        hwrt.load("zoo:mobilenet_v3_small", threads=1, **arguments)  # type: ignore[arg-type]


def test_the_log_calls_a_zoo_model_as_the_user_did(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("Good")

    with caplog.at_level(logging.INFO, logger="hwrt"):
        hwrt.load("zoo:mobilenet_v3_small", backend="good", options={}, threads=1)

    assert messages(caplog)[-1].startswith("zoo:mobilenet_v3_small: good cpu:0 threads=1")


def test_a_model_may_be_given_as_bytes(model: Path) -> None:
    x = np.full((1, 16), -1, np.float32)

    np.testing.assert_array_equal(hwrt.load(model.read_bytes(), threads=1)(x)["y"], x * 0)


def test_a_model_given_as_bytes_needs_no_cache(model: Path) -> None:
    session = hwrt.load(model.read_bytes(), threads=1, cache=False)

    assert session.info.path.is_file()
    folder = session.info.path.parents[1]
    session.close()
    del session
    assert not folder.exists()


def test_samples_are_what_candidates_are_judged_on(install: Install, relu_model: Model) -> None:
    install("Wrong", "Judge")
    zeros = {"x": np.zeros((1, 16), np.float32)}

    session = hwrt.load(relu_model(), threads=1, samples=[zeros])

    assert session.plan.backend == "wrong"


def test_a_folder_of_samples_is_found_from_another_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", np.ones((1, 16), np.float32))
    monkeypatch.chdir(tmp_path)
    session = hwrt.load(model, threads=1, samples=".")
    monkeypatch.chdir("/")
    session.replace(model)

    assert session.plan.key.samples is not None


@pytest.mark.parametrize("threads", [np.int64(1), np.array(1)])
def test_threads_are_any_librarys_whole_number(model: Path, threads: object) -> None:
    key = hwrt.load(model, threads=threads).plan.key

    assert (1, int) == (key.threads, type(key.threads))


def test_a_folder_of_samples_is_read(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    np.save(folder / "a.npy", np.ones((1, 16), np.float32))
    np.savez(folder / "b.npz", x=np.ones((1, 16), np.float32))

    assert hwrt.load(model, threads=1, samples=folder).plan.backend == "good"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"backend": "absent"}, r"there is no backend 'absent' \(there are good, judge\)"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": 100_000}, "threads is 100000"),
        ({"threads": True}, "threads is True"),
        ({"threads": 2.0}, r"threads is 2\.0"),
        ({"threads": np.array([2])}, r"threads is array\(\[2\]\)"),
        ({"objective": "fun"}, r"objective is 'fun'.*it has 'latency'"),
        ({"accuracy": "relaxed"}, "accuracy is 'relaxed' and there are no samples"),
        ({"tune": "sometimes"}, "tune is 'sometimes'"),
        ({"shapes": {"z": (1,)}}, r"shapes names 'z', which is no input \(inputs are x\)"),
        ({"shapes": {"x": (2, 16)}}, r"the input 'x' can not have the shape \(2, 16\)"),
        ({"shapes": {"x": (1, -1)}}, "shapes gives 'x' a dimension -1"),
        ({"samples": []}, "samples holds nothing"),
        ({"samples": [{"x": np.ones(3, np.float32)}]}, r"a sample feeds 'x' a float32 array"),
        ({"samples": [{}]}, "a sample feeds nothing"),
        ({"samples": "no-such-folder"}, "which is no folder"),
        ({"max_memory_mb": 0}, "max_memory_mb is 0"),
        ({"budget_s": -1}, "budget_s is -1"),
        ({"budget_s": "long"}, "budget_s is 'long'"),
        ({"backend": 5}, "backend is 5"),
        ({"options": 5}, "options is 5"),
        ({"shapes": 5}, "shapes is 5"),
        ({"cache": None}, "cache is None"),
        ({"progress": 5}, "progress is 5"),
        ({"plan": 5}, "the plan 5 can not be read"),
        ({"plan": "a\0b"}, "can not be read: embedded null byte"),
        ({"plan": "p.json", "options": {}}, "plan= and options= were given together"),
        ({"plan": "p.json", "samples": []}, "plan= and samples= were given together"),
        ({"plan": "p.json", "tune": "sometimes"}, "tune is 'sometimes'"),
        ({"plan": "no-such-plan.json"}, "the plan no-such-plan.json can not be read"),
    ],
)
def test_a_wrong_argument_is_an_error_with_its_value(
    model: Path, arguments: dict[str, object], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        hwrt.load(model, **arguments)  # type: ignore[arg-type]


def test_shapes_that_no_memory_can_hold_are_refused(install: Install, relu_model: Model) -> None:
    install("Good", "Judge")

    with pytest.raises(InputError, match=r"feeds of the shapes .* take \d+ MiB"):
        hwrt.load(relu_model(("N", 16)), shapes={"x": (10**12, 16)})


def test_a_device_that_no_backend_has_is_an_error_with_each_reason(model: Path) -> None:
    with pytest.raises(NoBackend, match="good: it has no device 'cuda:0': it has cpu:0"):
        hwrt.load(model, device="cuda:0")


def test_progress_may_cancel_the_tuning(model: Path) -> None:
    with pytest.raises(SessionError, match="cancelled"):
        hwrt.load(model, progress=lambda fraction, text: False)


def test_progress_is_told_of_every_candidate(model: Path) -> None:
    texts: list[str] = []

    hwrt.load(model, threads=1, progress=lambda fraction, text: not texts.append(text))

    assert "compiling good cpu:0 precision=f32 threads=1" in texts
    assert "timing good cpu:0 precision=f32 threads=1" in texts


def test_the_plan_round_trips_through_json(model: Path) -> None:
    plan = hwrt.tune(model, threads=1)

    assert hwrt.Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "hwrt.plan/0"}', "\0"])
def test_what_is_no_plan_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError):
        hwrt.Plan.from_json(text)
