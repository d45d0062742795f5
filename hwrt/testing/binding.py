# ruff: noqa: D102 - the name of a test says what it shows
"""What ``bind`` promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.backend import InputError
from hwrt.testing import graphs
from hwrt.testing.checking import Compile, check_request, noise


class Binding:
    """The part of BackendConformance that is about the caller's arrays as inputs and outputs.

    ``bind`` is optional: a backend that refuses every array lists these tests.
    """

    def test_bound_input_is_read_at_each_run(self, compiled: Compile) -> None:
        request = compiled(graphs.relu()).create_request()
        mine = np.array([1, -1, 2, -2], "f4")
        request.bind("x", mine)
        request.run()
        first = request.outputs["y"].copy()
        mine *= -1
        request.run()

        assert request.inputs["x"] is mine
        np.testing.assert_array_equal([1, 0, 2, 0], first)
        np.testing.assert_array_equal([0, 1, 0, 2], request.outputs["y"])

    def test_bound_output_is_written_by_each_run(self, compiled: Compile) -> None:
        request = compiled(graphs.relu()).create_request()
        mine = np.empty(4, "f4")
        request.bind("y", mine)
        request.inputs["x"][...] = [1, -1, 2, -2]
        request.run()
        first = mine.copy()
        request.inputs["x"][...] = [-1, 1, -2, 2]
        request.run()

        assert request.outputs["y"] is mine
        np.testing.assert_array_equal([1, 0, 2, 0], first)
        np.testing.assert_array_equal([0, 1, 0, 2], mine)

    def test_bind_of_none_gives_the_own_arrays_back(self, compiled: Compile) -> None:
        request = compiled(graphs.relu()).create_request()
        mine_in, mine_out = np.full(4, 3, "f4"), np.empty(4, "f4")
        request.bind("x", mine_in)
        request.bind("y", mine_out)
        request.run()
        request.bind("x", None)
        request.bind("y", None)
        request.inputs["x"][...] = 5
        request.run()

        np.testing.assert_array_equal([5, 5, 5, 5], request.outputs["y"])
        np.testing.assert_array_equal([3, 3, 3, 3], mine_in)
        np.testing.assert_array_equal([3, 3, 3, 3], mine_out)

    def test_bind_of_none_to_what_was_never_bound_is_harmless(self, compiled: Compile) -> None:
        graph = graphs.relu()
        request = compiled(graph).create_request()
        request.bind("x", None)
        request.bind("y", None)

        check_request(request, graph, {"x": noise((4,))})

    def test_infer_gives_its_own_arrays_while_others_are_bound(self, compiled: Compile) -> None:
        request = compiled(graphs.relu()).create_request()
        x, y = np.full(4, 3, "f4"), np.full(4, 7, "f4")
        request.bind("x", x)
        request.bind("y", y)
        result = request.infer({"x": np.full(4, 5, "f4")})["y"]

        np.testing.assert_array_equal([5] * 4, result)
        assert not np.shares_memory(result, y)

    def test_bound_array_outlives_the_resize_of_another_input(self, compiled: Compile) -> None:
        request = compiled(graphs.two_negations(("N",), (2,))).create_request()
        b, d = np.array([4, 5], "f4"), np.empty(2, "f4")
        request.bind("b", b)
        request.bind("d", d)
        request.resize({"a": (3,)})
        request.inputs["a"][...] = [1, 2, 3]
        request.run()

        assert request.inputs["b"] is b
        np.testing.assert_array_equal([-1, -2, -3], request.outputs["c"])
        np.testing.assert_array_equal([-4, -5], d)

    def test_large_arrays_may_be_bound(self, compiled: Compile) -> None:
        size = 1 << 20
        request = compiled(graphs.relu((size,))).create_request()
        x, y = noise((size,)), np.empty(size, "f4")
        request.bind("x", x)
        request.bind("y", y)
        request.run()

        np.testing.assert_array_equal(np.maximum(x, 0), y)

    def test_one_of_two_requests_may_be_bound(self, compiled: Compile) -> None:
        made = compiled(graphs.relu())
        bound, free = made.create_request(), made.create_request()
        mine = np.full(4, 3, "f4")
        bound.bind("x", mine)
        free.inputs["x"][...] = 8
        bound.run()
        free.run()

        np.testing.assert_array_equal([3] * 4, bound.outputs["y"])
        np.testing.assert_array_equal([8] * 4, free.outputs["y"])

    @pytest.mark.parametrize("name", ["x", "y"])
    @pytest.mark.parametrize(
        "array",
        [
            np.zeros(4, "f8"),
            np.zeros(4, ">f4"),
            np.zeros(5, "f4"),
            np.zeros((1, 4), "f4"),
            np.zeros(8, "f4")[::2],
            np.zeros(17, "u1")[1:].view("f4"),
            [0.0, 0.0, 0.0, 0.0],
        ],
        ids=["dtype", "byte order", "size", "rank", "strided", "misaligned", "list"],
    )
    def test_unfit_array_is_not_bound(self, compiled: Compile, name: str, array: Any) -> None:
        graph = graphs.relu()
        request = compiled(graph).create_request()
        with pytest.raises(InputError, match=repr(name)):
            request.bind(name, array)

        check_request(request, graph, {"x": noise((4,))})

    def test_read_only_array_is_not_bound_to_an_output(self, compiled: Compile) -> None:
        array = np.zeros(4, "f4")
        array.flags.writeable = False

        with pytest.raises(InputError, match="'y'"):
            compiled(graphs.relu()).create_request().bind("y", array)

    def test_bind_of_an_unknown_name_lists_the_tensors(self, compiled: Compile) -> None:
        with pytest.raises(InputError, match=r"'q'.*x, y"):
            compiled(graphs.relu()).create_request().bind("q", np.zeros(4, "f4"))
