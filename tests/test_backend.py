from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from hwrt import backend as contract
from hwrt.backend import (
    API_VERSION,
    Array,
    Backend,
    CompiledModel,
    Device,
    InputError,
    Limits,
    ModelInfo,
    Options,
    Placement,
    Request,
    SessionError,
    TensorSpec,
)

F4 = np.dtype("f4")


class Doubler(Request):
    """y = 2x, with nothing of Request overridden but what must be; it can wait and fail."""

    def __init__(self, size: int = 3) -> None:
        self.inputs = {"x": np.zeros(size, "f4")}
        self.outputs = {"y": np.zeros(size, "f4")}
        self.may_run = threading.Event()
        self.may_run.set()
        self.fault: BaseException | None = None
        self.threads: set[int] = set()

    def run(self) -> None:
        assert self.may_run.wait(30)
        self.threads.add(threading.get_ident())
        if self.fault is not None:
            raise self.fault
        np.multiply(self.inputs["x"], 2, out=self.outputs["y"])


class ResizableDoubler(Doubler):
    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.inputs = {name: np.zeros(shape, "f4") for name, shape in shapes.items()}
        self.outputs = {"y": np.zeros(shapes["x"], "f4")}


class DoublerModel(CompiledModel):
    inputs = (TensorSpec("x", F4, (3,)),)
    outputs = (TensorSpec("y", F4, (3,)),)
    placement = Placement({"cpu:0": 1})
    precision = "f32"

    def create_request(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Request:
        return Doubler()

    def close(self) -> None:
        pass


class Minimal(Backend):
    name = "minimal"
    formats = frozenset({"onnx"})
    api_version = 1

    def stamp(self) -> str:
        return "minimal 1"

    def devices(self) -> tuple[Device, ...]:
        return (Device("cpu"),)

    def compile(self, model: ModelInfo, device: Device, **arguments: object) -> CompiledModel:
        return DoublerModel()


@pytest.fixture
def request_() -> Iterator[Doubler]:
    made = Doubler()
    yield made
    made.may_run.set()
    made.close()


@pytest.fixture
def model(tmp_path: Path) -> ModelInfo:
    return ModelInfo(
        tmp_path / "m.onnx", "onnx", "0" * 64, 0, DoublerModel.inputs, DoublerModel.outputs
    )


def f4(*values: float) -> Array:
    return np.array(values, "f4")


# -- Backend --------------------------------------------------------------------------------------


def test_one_candidate_by_default_plain_f32_with_the_allowed_threads(model: ModelInfo) -> None:
    candidates = list(Minimal().candidates(model, Device("cpu"), Limits(threads=3)))

    assert candidates == [Options(precision="f32", threads=3)]


def test_backend_is_no_judge_by_default(model: ModelInfo) -> None:
    assert Minimal().reference(model, Device("cpu")) is None


def test_no_variants_and_no_findings_by_default(model: ModelInfo, tmp_path: Path) -> None:
    assert list(Minimal().variants(model, [], tmp_path)) == []
    assert list(Minimal().diagnose()) == []


@pytest.mark.parametrize("cls", [Backend, CompiledModel, Request])
def test_contract_alone_can_not_be_made(cls: type) -> None:
    with pytest.raises(TypeError, match="abstract"):
        cls()


def test_api_version_is_not_inherited_from_the_contract() -> None:
    assert "api_version" not in vars(Backend)
    assert API_VERSION == 1


def test_everything_that_a_plugin_needs_is_in_the_contract() -> None:
    assert sorted(contract.__all__, key=str.lower) == sorted(set(contract.__all__), key=str.lower)
    assert all(hasattr(contract, name) for name in contract.__all__)


def test_compiled_model_has_no_bound_no_artefact_and_no_preprocess_by_default() -> None:
    made = DoublerModel()

    assert (made.max_requests, made.artefact, made.preprocess) == (None, None, None)


# -- Request.infer --------------------------------------------------------------------------------


def test_infer_copies_in_runs_and_copies_out(request_: Doubler) -> None:
    first = request_.infer({"x": f4(1, 2, 3)})
    second = request_.infer({"x": f4(4, 5, 6)})

    np.testing.assert_array_equal([2, 4, 6], first["y"])
    np.testing.assert_array_equal([8, 10, 12], second["y"])
    assert not np.shares_memory(second["y"], request_.outputs["y"])


def test_infer_resizes_for_another_shape() -> None:
    np.testing.assert_array_equal(
        [2, 4, 6, 8], ResizableDoubler().infer({"x": f4(1, 2, 3, 4)})["y"]
    )


def test_infer_of_another_shape_is_an_input_error_where_shapes_are_fixed(request_: Doubler) -> None:
    with pytest.raises(InputError, match=r"fixed and can not become \{'x': \(2,\)\}.*shapes="):
        request_.infer({"x": f4(1, 2)})


def test_infer_casts_nothing(request_: Doubler) -> None:
    with pytest.raises(TypeError, match="float64"):
        request_.infer({"x": np.zeros(3)})


def test_bind_is_an_input_error_by_default(request_: Doubler) -> None:
    with pytest.raises(InputError, match=r"'x'.*copy into request.inputs"):
        request_.bind("x", f4(1, 2, 3))


def test_request_has_no_stream_and_no_timings_by_default(request_: Doubler) -> None:
    assert (request_.stream, request_.timings) == (None, None)


# -- start and wait -------------------------------------------------------------------------------


def test_started_run_is_done_by_another_thread(request_: Doubler) -> None:
    request_.inputs["x"][...] = 4
    request_.start()

    assert request_.wait() is True
    assert request_.threads - {threading.get_ident()}
    np.testing.assert_array_equal([8, 8, 8], request_.outputs["y"])


def test_wait_is_false_while_the_run_goes_on_and_true_after(request_: Doubler) -> None:
    request_.may_run.clear()
    request_.start()

    assert request_.wait(0) is False
    assert request_.wait(0.001) is False
    request_.may_run.set()
    assert request_.wait() is True


def test_wait_without_a_started_run_is_true(request_: Doubler) -> None:
    assert request_.wait() is True


def test_second_start_before_wait_is_an_input_error(request_: Doubler) -> None:
    request_.start()
    with pytest.raises(InputError, match=r"running already \(call wait"):
        request_.start()

    assert request_.wait() is True


@pytest.mark.parametrize("fault", [ValueError("odd"), TimeoutError("the device hangs")], ids=repr)
def test_wait_raises_what_the_run_raised_once(request_: Doubler, fault: Exception) -> None:
    request_.fault = fault
    request_.start()
    with pytest.raises(type(fault), match=str(fault)):
        request_.wait()

    assert request_.wait() is True


def test_request_can_start_again_after_a_run_that_failed(request_: Doubler) -> None:
    request_.fault = ValueError("odd")
    request_.start()
    with pytest.raises(ValueError, match="odd"):
        request_.wait()
    request_.fault = None
    request_.inputs["x"][...] = 5
    request_.start()

    assert request_.wait() is True
    np.testing.assert_array_equal([10, 10, 10], request_.outputs["y"])


def test_all_runs_of_a_request_are_of_one_thread(request_: Doubler) -> None:
    for _ in range(5):
        request_.start()
        request_.wait()

    assert len(request_.threads) == 1


# -- close and disable ----------------------------------------------------------------------------

USES = {
    "run": lambda request: request.run(),
    "infer": lambda request: request.infer({"x": f4(1, 2, 3)}),
    "resize": lambda request: request.resize({"x": (3,)}),
    "bind": lambda request: request.bind("x", None),
    "start": lambda request: request.start(),
    "wait": lambda request: request.wait(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_closed_request_refuses_every_use(request_: Doubler, use: object) -> None:
    request_.close()

    with pytest.raises(SessionError, match=r"this request is closed.*create another one"):
        use(request_)  # type: ignore[operator]


def test_closing_again_is_harmless(request_: Doubler) -> None:
    request_.start()
    request_.close()
    request_.close()


def test_close_waits_for_the_started_run(request_: Doubler) -> None:
    request_.inputs["x"][...] = 1
    request_.start()
    request_.close()

    np.testing.assert_array_equal([2, 2, 2], request_.outputs["y"])


def test_close_ends_the_worker_thread(request_: Doubler) -> None:
    request_.start()
    request_.wait()
    before = threading.active_count()
    request_.close()

    assert threading.active_count() == before - 1


def test_disabled_request_says_the_reason_and_what_to_do(request_: Doubler) -> None:
    request_.disable("carried over a fork", hint="load it again")

    with pytest.raises(SessionError, match=r"^carried over a fork \(load it again\)$"):
        request_.run()


def test_disabling_one_request_leaves_the_others(request_: Doubler) -> None:
    other = Doubler()
    request_.disable("no more")

    np.testing.assert_array_equal([2, 4, 6], other.infer({"x": f4(1, 2, 3)})["y"])


def test_wait_does_not_hang_in_a_fork_that_disabled_it(request_: Doubler) -> None:
    request_.may_run.clear()
    request_.start()
    request_.disable("carried over a fork")

    with pytest.raises(SessionError, match="fork"):
        request_.wait()
