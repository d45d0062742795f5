# ruff: noqa: D102 - the name of a test says what it shows
"""What a backend promises of memory: whose it is, and how long it is good."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import Options, SessionError
from hwrt.testing import graphs
from hwrt.testing.checking import Compile, check_request, core, noise
from hwrt.testing.graph import Graph, node, tensor
from hwrt.testing.values import SIZES

_LARGE = 1 << 20  # elements: 4 MiB
_SIDE = 1 << 10  # of a matrix of 4 MiB


class Ownership:
    """The part of BackendConformance that is about who may write where, and until when."""

    # -- feeds and results of infer -------------------------------------------------------------

    @core
    @pytest.mark.parametrize("size", SIZES)
    def test_infer_leaves_its_feeds_alone(self, compiled: Compile, size: int) -> None:
        x = noise((size,))
        before = x.copy()
        request = compiled(graphs.relu((size,))).create_request()
        request.infer({"x": x})
        request.infer({"x": -x})

        np.testing.assert_array_equal(before, x)

    @core
    @pytest.mark.parametrize("dynamic", [False, True], ids=["fixed", "dynamic"])
    @pytest.mark.parametrize("size", SIZES)
    def test_infer_takes_read_only_feeds(self, compiled: Compile, size: int, dynamic: bool) -> None:
        x = noise((size,))
        x.flags.writeable = False
        request = compiled(graphs.relu(("N" if dynamic else size,))).create_request()

        np.testing.assert_array_equal(np.maximum(x, 0), request.infer({"x": x})["y"])

    @core
    @pytest.mark.parametrize("size", SIZES)
    def test_feeds_may_change_after_infer(self, compiled: Compile, size: int) -> None:
        request = compiled(graphs.relu((size,))).create_request()
        x = np.ones(size, "f4")
        first = request.infer({"x": x})["y"]
        x.fill(-1)
        second = request.infer({"x": x})["y"]

        np.testing.assert_array_equal(np.ones(size), first)
        np.testing.assert_array_equal(np.zeros(size), second)

    @core
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("dynamic", [False, True], ids=["fixed", "dynamic"])
    def test_results_of_infer_are_the_callers_own(
        self, compiled: Compile, size: int, dynamic: bool
    ) -> None:
        made = compiled(graphs.relu(("N" if dynamic else size,)))
        request = made.create_request({"x": (size,)})
        x = noise((size,))
        first = request.infer({"x": x})["y"]
        second = request.infer({"x": -x})["y"]
        request.inputs["x"].fill(7)
        request.run()

        np.testing.assert_array_equal(np.maximum(x, 0), first)
        np.testing.assert_array_equal(np.maximum(-x, 0), second)
        assert first.flags.writeable
        assert not np.shares_memory(first, request.outputs["y"])

    @core
    @pytest.mark.parametrize("size", SIZES)
    def test_results_of_two_requests_have_nothing_in_common(
        self, compiled: Compile, size: int
    ) -> None:
        made = compiled(graphs.relu((size,)))
        x = noise((size,))
        first = made.create_request().infer({"x": x})["y"]
        second = made.create_request().infer({"x": -x})["y"]

        assert not np.shares_memory(first, second)
        np.testing.assert_array_equal(np.maximum(x, 0), first)

    @core
    def test_result_that_is_an_input_is_the_callers_own_too(self, compiled: Compile) -> None:
        graph = graphs.mixed()
        request = compiled(graph).create_request()
        feeds = {"a": noise((2, 3)), "b": noise((2, 1)), "c": np.zeros(5, "?")}
        same = request.infer(feeds)["same"]

        assert not np.shares_memory(same, feeds["a"])
        assert not np.shares_memory(same, request.inputs["a"])

    @core
    @pytest.mark.parametrize("size", SIZES)
    def test_infer_and_run_may_alternate(self, compiled: Compile, size: int) -> None:
        x = noise((size,))
        request = compiled(graphs.relu((size,))).create_request()
        request.infer({"x": x})
        request.inputs["x"][...] = -x
        request.run()

        np.testing.assert_array_equal(np.maximum(-x, 0), request.outputs["y"])

    # -- buffers --------------------------------------------------------------------------------

    @core
    def test_each_request_has_buffers_of_its_own(self, compiled: Compile) -> None:
        made = compiled(graphs.relu())
        first, second = made.create_request(), made.create_request()
        first.inputs["x"][...] = 1
        second.inputs["x"][...] = 2
        first.run()
        second.run()

        assert not np.shares_memory(first.inputs["x"], second.inputs["x"])
        assert not np.shares_memory(first.outputs["y"], second.outputs["y"])
        np.testing.assert_array_equal([1] * 4, first.outputs["y"])
        np.testing.assert_array_equal([2] * 4, second.outputs["y"])

    @core
    def test_inputs_keep_what_was_written_over_a_run(self, compiled: Compile) -> None:
        graph = graphs.two_negations((4,), (4,))
        request = compiled(graph).create_request()
        request.inputs["a"][...] = 1
        request.inputs["b"][...] = 2
        request.run()
        request.inputs["b"][...] = 3
        request.run()

        np.testing.assert_array_equal([1] * 4, request.inputs["a"])
        np.testing.assert_array_equal([-1] * 4, request.outputs["c"])
        np.testing.assert_array_equal([-3] * 4, request.outputs["d"])

    @core
    def test_outputs_of_fixed_shape_are_read_once_and_good_for_every_run(
        self, compiled: Compile
    ) -> None:
        request = compiled(graphs.relu()).create_request()
        x, y = request.inputs["x"], request.outputs["y"]
        for value in (1, 2, 3):
            x[...] = value
            request.run()

            np.testing.assert_array_equal([value] * 4, y)

    # -- the end --------------------------------------------------------------------------------

    @core
    @pytest.mark.parametrize("dynamic", [False, True], ids=["fixed", "dynamic"])
    def test_arrays_stay_readable_after_everything_is_closed(
        self, compiled: Compile, dynamic: bool
    ) -> None:
        size = 1 << 16
        made = compiled(graphs.relu(("N" if dynamic else size,)))
        request = made.create_request({"x": (size,)})
        request.inputs["x"][...] = x = noise((size,))
        request.run()
        x_view, y_view = request.inputs["x"], request.outputs["y"]
        owned = request.infer({"x": x})["y"]
        y_before = y_view.copy()
        request.close()
        made.close()
        compiled.forget()
        del request, made
        gc.collect()

        np.testing.assert_array_equal(y_before, y_view)
        np.testing.assert_array_equal(x, x_view)
        np.testing.assert_array_equal(np.maximum(x, 0), owned)

    @core
    def test_old_arrays_are_nothing_to_a_resized_request(self, compiled: Compile) -> None:
        request = compiled(graphs.relu(("N",))).create_request({"x": (1 << 16,)})
        request.inputs["x"][...] = 1
        request.run()
        old_x, old_y = request.inputs["x"], request.outputs["y"]
        for size in (1 << 17, 8, 1 << 18):
            request.resize({"x": (size,)})
        request.inputs["x"][...] = 2
        old_x.fill(3)
        request.run()
        read = float(old_y.sum())

        assert np.isfinite(read)
        np.testing.assert_array_equal(np.full(1 << 18, 2), request.outputs["y"])

    @core
    def test_resizing_gives_memory_back(self, compiled: Compile) -> None:
        request = compiled(graphs.relu(("N",))).create_request({"x": (_LARGE,)})
        before = _resident_bytes()
        for i in range(60):
            request.resize({"x": (_LARGE + i % 2,)})
            request.run()

        assert _resident_bytes() - before < 40 * _LARGE * 4

    @core
    def test_closing_gives_memory_back(self, compiled: Compile) -> None:
        made = compiled(graphs.relu((_LARGE,)))
        made.create_request().run()
        before = _resident_bytes()
        for _ in range(60):
            request = made.create_request()
            request.run()
            request.close()

        assert _resident_bytes() - before < 40 * _LARGE * 4

    @core
    def test_closing_compiled_models_gives_memory_back(self, compiled: Compile) -> None:
        weights = {"w": noise((_SIDE, _SIDE))}
        x, y = tensor("x", "f4", (1, _SIDE)), tensor("y", "f4", (1, _SIDE))
        model = compiled.save(Graph((x,), (y,), (node("MatMul", "x w", "y"),), weights))
        compiled(model).close()
        before = _resident_bytes()
        for _ in range(20):
            compiled(model).close()
            gc.collect()

        assert _resident_bytes() - before < 12 * _SIDE * _SIDE * 4

    @core
    def test_closing_gives_files_and_threads_back(self, compiled: Compile) -> None:
        model = compiled.save(graphs.convolution(compiled.layout))

        def use() -> None:
            made = compiled(model, Options(threads=2))
            request = made.create_request()
            request.start()
            request.wait()
            request.close()
            made.close()

        for _ in range(4):  # what the vendor keeps for the whole process is there then
            use()
        before = _open_files(), _threads()
        for _ in range(16):
            use()

        assert _open_files() - before[0] < 8
        assert _threads() - before[1] < 8

    @core
    def test_closing_twice_is_harmless(self, compiled: Compile) -> None:
        made = compiled(graphs.relu())
        request = made.create_request()
        request.close()
        request.close()
        made.close()
        made.close()

        with pytest.raises(SessionError, match="closed"):
            request.run()

    @core
    @pytest.mark.parametrize("ran", [False, True], ids=["never run", "run before"])
    def test_use_after_close_is_a_session_error(self, compiled: Compile, ran: bool) -> None:
        request = compiled(graphs.relu(("N",))).create_request()
        if ran:
            request.run()
        request.close()

        for use in (
            request.run,
            request.start,
            request.wait,
            lambda: request.infer({"x": noise((1,))}),
            lambda: request.resize({"x": (2,)}),
            lambda: request.bind("x", None),
            lambda: request.outputs,
        ):
            with pytest.raises(SessionError, match="closed"):
                use()

    @core
    def test_closed_compiled_model_gives_no_request(self, compiled: Compile) -> None:
        made = compiled(graphs.relu())
        made.close()

        with pytest.raises(SessionError, match="closed"):
            made.create_request()

    @core
    def test_closing_one_request_leaves_the_others(self, compiled: Compile) -> None:
        graph = graphs.relu()
        made = compiled(graph)
        first, second = made.create_request(), made.create_request()
        first.run()
        first.close()

        check_request(second, graph, {"x": noise((4,))})


def _resident_bytes() -> int:
    """The memory that this process holds at present."""
    # What others left would be freed meanwhile, or serve for what is kept here, and hide it.
    gc.collect()
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
