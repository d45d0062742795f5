# ruff: noqa: D102 - the name of a test says what it shows
"""What a backend promises of shapes: fixed, bounded, dynamic, changed, refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.backend import HwrtError, InputError, Range
from hwrt.testing import graphs
from hwrt.testing.checking import Compile, check, check_request, core, noise
from hwrt.testing.graph import Graph, node, tensor


class Shaping:
    """The part of BackendConformance that is about ``shapes`` and ``resize``."""

    # -- dynamic --------------------------------------------------------------------------------

    @core
    def test_dynamic_batch_follows_resize(self, compiled: Compile) -> None:
        graph = graphs.convolution(compiled.layout)
        request = compiled(graph).create_request()
        for batch in (2, 1, 5, 2):
            x = noise(_with_batch(graph, batch), seed=batch)
            check_request(request, graph, {"x": x}, rtol=1e-5)

    @core
    def test_dynamic_dimensions_are_1_at_first(self, compiled: Compile) -> None:
        request = compiled(graphs.relu(("N", 3))).create_request()

        assert request.inputs["x"].shape == (1, 3)

    @core
    def test_request_begins_with_the_shapes_it_is_given(self, compiled: Compile) -> None:
        request = compiled(graphs.relu(("N", 3))).create_request({"x": (5, 3)})
        request.inputs["x"][...] = -1
        request.run()

        np.testing.assert_array_equal(np.zeros((5, 3)), request.outputs["y"])

    @core
    def test_infer_takes_any_batch_without_resize(self, compiled: Compile) -> None:
        request = compiled(graphs.relu(("N", 3))).create_request()
        for batch in (4, 1, 20_000, 2):
            x = noise((batch, 3))
            np.testing.assert_array_equal(np.maximum(x, 0), request.infer({"x": x})["y"])

    def test_infer_takes_a_batch_of_none_without_resize(self, compiled: Compile) -> None:
        request = compiled(graphs.relu(("N", 3))).create_request()
        for batch in (2, 0, 3):
            x = noise((batch, 3))
            np.testing.assert_array_equal(np.maximum(x, 0), request.infer({"x": x})["y"])

    def test_several_dimensions_may_be_dynamic(self, compiled: Compile) -> None:
        graph = graphs.relu(("N", "H", "W"))
        request = compiled(graph).create_request()
        for shape in ((1, 2, 3), (3, 2, 1), (2, 7, 5)):
            check_request(request, graph, {"x": noise(shape)})

    @core
    def test_request_may_be_resized_often(self, compiled: Compile) -> None:
        graph = graphs.convolution(compiled.layout)
        request = compiled(graph).create_request()
        for i in range(60):
            x = noise(_with_batch(graph, 1 + i % 4), seed=i)
            check_request(request, graph, {"x": x}, rtol=1e-5)

    @core
    def test_requests_of_one_model_have_their_own_shapes(self, compiled: Compile) -> None:
        graph = graphs.relu(("N",))
        made = compiled(graph)
        small, large = made.create_request({"x": (2,)}), made.create_request({"x": (9,)})
        for request, size in ((small, 2), (large, 9)):
            request.inputs["x"][...] = size
        small.run()
        large.run()

        np.testing.assert_array_equal([2, 2], small.outputs["y"])
        np.testing.assert_array_equal([9] * 9, large.outputs["y"])

    def test_shape_that_depends_on_the_data(self, compiled: Compile) -> None:
        graph = graphs.arg_where()
        request = compiled(graph).create_request({"x": (4,)})
        for values in ([1, 0, 2, 0], [0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 5]):
            check_request(request, graph, {"x": np.array(values, "f4")})

    # -- given at compile -----------------------------------------------------------------------

    @core
    def test_shapes_fix_the_inputs(self, compiled: Compile) -> None:
        graph = graphs.convolution(compiled.layout)
        shape = _with_batch(graph, 2)
        made = compiled(graph, shapes={"x": shape})

        assert made.inputs[0].shape == shape
        check(made, graph, {"x": noise(shape)}, rtol=1e-5)

    @core
    def test_shape_fixed_by_shapes_does_not_change(self, compiled: Compile) -> None:
        graph = graphs.relu(("N", 3))
        request = compiled(graph, shapes={"x": (2, 3)}).create_request()

        assert request.inputs["x"].shape == (2, 3)
        with pytest.raises(InputError, match="'x'"):
            request.resize({"x": (3, 3)})
        check_request(request, graph, {"x": noise((2, 3))})

    def test_shapes_fix_dimensions_that_have_no_name(self, compiled: Compile) -> None:
        graph = graphs.relu((None, 3))
        made = compiled(graph, shapes={"x": (2, 3)})

        assert made.inputs[0].shape == (2, 3)
        check(made, graph, {"x": noise((2, 3))})

    def test_shapes_of_one_input_leave_the_other_dynamic(self, compiled: Compile) -> None:
        graph = graphs.two_negations(("A",), ("B",))
        made = compiled(graph, shapes={"a": (2,)})

        assert [spec.shape for spec in made.inputs] == [(2,), (None,)]
        check(made, graph, {"a": noise((2,)), "b": noise((5,))})

    @core
    def test_range_bounds_a_dimension(self, compiled: Compile) -> None:
        graph = graphs.convolution(compiled.layout)
        shape = _with_batch(graph, 2)
        made = compiled(graph, shapes={"x": (Range(1, 2, 4), *shape[1:])})
        request = made.create_request({"x": shape})

        assert made.inputs[0].shape == (None, *shape[1:])
        for batch in (1, 2, 4):
            check_request(request, graph, {"x": noise((batch, *shape[1:]))}, rtol=1e-5)

    @pytest.mark.parametrize(
        "shapes",
        [
            {"q": (2, 3)},
            {"x": (2, 4)},
            {"x": (2,)},
            {"x": (2, 3, 1)},
            {"x": (-1, 3)},
            {"x": (2, Range(1, 3, 4))},
            {"x": (Range(4, 2, 1), 3)},
        ],
        ids=str,
    )
    @core
    def test_shapes_that_do_not_fit_the_model_are_refused(
        self, compiled: Compile, shapes: dict[str, tuple[int | Range, ...]]
    ) -> None:
        with pytest.raises(InputError, match=r"'q'|'x'"):
            compiled(graphs.relu(("N", 3)), shapes=shapes)

    # -- refused --------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "shapes",
        [{"x": (2, 4)}, {"x": (2,)}, {"x": (-1, 3)}, {"q": (1, 3)}, {"x": (2, 3), "y": (2, 3)}],
        ids=str,
    )
    @core
    def test_wrong_resize_is_refused_and_changes_nothing(
        self, compiled: Compile, shapes: dict[str, tuple[int, ...]]
    ) -> None:
        made = compiled(graphs.relu(("N", 3)))
        request = made.create_request({"x": (2, 3)})
        request.inputs["x"][...] = x = noise((2, 3))

        with pytest.raises(InputError, match=r"x|q|y"):
            request.resize(shapes)
        with pytest.raises(InputError, match=r"x|q|y"):
            made.create_request(shapes).inputs["x"].fill(0)

        request.run()
        np.testing.assert_array_equal(np.maximum(x, 0), request.outputs["y"])

    def test_wrong_shape_of_one_input_leaves_the_others_as_they_were(
        self, compiled: Compile
    ) -> None:
        graph = graphs.two_negations(("A",), ("B", 2))
        request = compiled(graph).create_request({"a": (1,), "b": (1, 2)})
        request.inputs["a"][...] = 3
        with pytest.raises(InputError, match="'b'"):
            request.resize({"a": (5,), "b": (5, 5)})
        request.run()

        assert request.inputs["a"].shape == (1,)
        np.testing.assert_array_equal([-3], request.outputs["c"])

    @pytest.mark.parametrize("sizes", [(2, 3), (0, 2)], ids=str)
    def test_shapes_that_contradict_each_other_leave_the_request_usable(
        self, compiled: Compile, sizes: tuple[int, int]
    ) -> None:
        graph = Graph(
            (tensor("a", "f4", ("A",)), tensor("b", "f4", ("B",))),
            (tensor("c", "f4", ("C",)),),
            (node("Add", "a b", "c"),),
        )
        request = compiled(graph).create_request({"a": (2,), "b": (2,)})
        feeds: dict[str, Any] = {"a": noise((sizes[0],)), "b": noise((sizes[1],))}
        with pytest.raises(HwrtError):
            request.infer(feeds)

        check_request(request, graph, {"a": noise((4,)), "b": noise((4,))})


def _with_batch(graph: Graph, batch: int) -> tuple[int, ...]:
    return tuple(batch if size is None else size for size in graph.inputs[0].shape or ())
