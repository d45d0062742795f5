from __future__ import annotations

import copy
import pickle
import threading
import weakref
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from hwrt.backend import Array, InputError, SessionError

from .doubler import Doubler, DoublerModel, ResizableDoubler, f4


@pytest.fixture
def request_() -> Iterator[Doubler]:
    made = Doubler()
    yield made
    made.may_run.set()
    made.close()


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


def test_infer_takes_no_feeds_of_other_names(request_: Doubler) -> None:
    for feeds in ({}, {"q": f4(1, 2, 3)}, {"x": f4(1, 2, 3), "q": f4(1)}):
        with pytest.raises(InputError, match="the inputs are x"):
            request_.infer(feeds)


def test_infer_casts_nothing(request_: Doubler) -> None:
    with pytest.raises(InputError, match="float64"):
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


# -- a request while it runs ----------------------------------------------------------------------

BUSY = {name: use for name, use in USES.items() if name not in ("start", "wait")}


@pytest.mark.parametrize("use", BUSY.values(), ids=BUSY)
def test_a_started_request_refuses_every_use_until_wait(request_: Doubler, use: object) -> None:
    request_.may_run.clear()
    request_.start()
    with pytest.raises(InputError, match=r"this request is running already \(call wait\(\) first"):
        use(request_)  # type: ignore[operator]
    request_.may_run.set()

    assert request_.wait() is True
    np.testing.assert_array_equal([2, 4, 6], request_.infer({"x": f4(1, 2, 3)})["y"])


def test_a_request_of_which_a_run_failed_can_be_used_again(request_: Doubler) -> None:
    request_.fault = ValueError("odd")
    request_.start()
    with pytest.raises(ValueError, match="odd"):
        request_.wait()
    request_.fault = None

    np.testing.assert_array_equal([2, 4, 6], request_.infer({"x": f4(1, 2, 3)})["y"])


def test_a_time_out_leaves_the_run_to_be_waited_for(request_: Doubler) -> None:
    request_.may_run.clear()
    request_.start()

    assert request_.wait(0) is False
    with pytest.raises(InputError, match="running already"):
        request_.run()
    with pytest.raises(InputError, match="running already"):
        request_.start()
    request_.may_run.set()
    assert request_.wait(30) is True


class ByInfer(Doubler):
    """Its run is made of the other methods, as a plugin's may be."""

    def run(self) -> None:
        self.outputs = self.infer(self.inputs)

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {"y": feeds["x"] * 2}


def test_a_started_run_may_use_the_other_methods_of_its_request() -> None:
    made = ByInfer()
    made.inputs["x"][...] = 3
    made.start()

    assert made.wait() is True
    np.testing.assert_array_equal([6, 6, 6], made.outputs["y"])
    made.close()


def test_methods_that_a_plugin_hid_in_its_instance_are_hidden_again_after_a_run() -> None:
    made = Doubler()
    seen: list[str] = []
    mine = lambda: seen.append("mine")  # noqa: E731
    made.run = mine  # type: ignore[method-assign]
    made.start()
    made.wait()

    assert seen == ["mine"]
    assert made.run is mine
    made.close()


def test_a_request_that_is_dropped_while_it_runs_ends_its_run_and_goes() -> None:
    made = Doubler()
    made.may_run.clear()
    may_run, gone = made.may_run, threading.Event()
    weakref.finalize(made, gone.set)
    made.start()
    del made
    may_run.set()

    assert gone.wait(30)


def test_close_of_a_running_request_ends_the_run_and_loses_its_fault(request_: Doubler) -> None:
    request_.fault = ValueError("odd")
    request_.start()
    request_.close()

    with pytest.raises(SessionError, match="closed"):
        request_.wait()


# -- other libraries' arrays; pickling ------------------------------------------------------------


class Binding(Doubler):
    def bind(self, name: str, array: Array | None) -> None:
        self.bound = array


class Foreign:
    """An array of another library: its memory by DLPack alone."""

    def __init__(self, array: Array) -> None:
        self._array = array

    def __dlpack__(self, **named: object) -> object:
        return self._array.__dlpack__(**named)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


def test_an_override_of_bind_gets_a_numpy_array_over_the_memory_of_another_librarys() -> None:
    made, array = Binding(), f4(1, 2, 3)
    made.bind("x", Foreign(array))  # type: ignore[arg-type]

    assert type(made.bound) is np.ndarray
    assert np.shares_memory(made.bound, array)


def test_an_override_of_bind_gets_none_and_numpy_arrays_as_they_are() -> None:
    made, array = Binding(), f4(1, 2, 3)
    made.bind("x", array)
    first = made.bound
    made.bind("x", None)

    assert first is array
    assert made.bound is None


def test_what_can_not_be_bound_without_a_copy_is_refused() -> None:
    with pytest.raises(InputError, match="for 'x' is a list, whose memory can not be used in"):
        Binding().bind("x", [1.0, 2.0, 3.0])  # type: ignore[arg-type]


@pytest.mark.parametrize("copy_it", [pickle.dumps, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("made", [Doubler(), DoublerModel()], ids=["request", "compiled model"])
def test_requests_and_compiled_models_refuse_to_travel(made: object, copy_it: object) -> None:
    with pytest.raises(SessionError, match=r"can not be pickled or copied \(pickle the session"):
        copy_it(made)  # type: ignore[operator]
