# ruff: noqa: D102 - the name of a test says what it shows
"""What ``Request`` promises: run and infer, shapes, bind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import InputError
from hwrt.testing import models
from hwrt.testing.checking import Compile, check, check_request, noise

DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
# Below, and well above, what a backend might rather copy than hand over.
SIZES = (16, 1 << 18)


class Requesting:
    """The part of BackendConformance that is about ``run``, ``infer``, ``resize`` and ``bind``."""

    # -- run and infer --------------------------------------------------------------------------

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_every_dtype_passes_unchanged(
        self, compiled: Compile, tmp_path: Path, dtype: str
    ) -> None:
        x = np.arange(6).astype(dtype).reshape(3, 2)
        concat = models.node("Concat", "x x", "y", axis=0)
        model = models.save(tmp_path, [concat], [("x", dtype, ("N", 2))], [("y", dtype, ("M", 2))])

        check(compiled(model), {"x": x}, {"y": np.concatenate([x, x])})

    @pytest.mark.parametrize("shape", [(3,), ("N",)], ids=["fixed", "dynamic"])
    def test_bool_passes_as_bool(self, compiled: Compile, tmp_path: Path, shape: Any) -> None:
        x = np.array([True, False, True])
        model = models.save(
            tmp_path, [models.node("Not", "x", "y")], [("x", "?", shape)], [("y", "?", shape)]
        )

        check(compiled(model), {"x": x}, {"y": ~x})

    @pytest.mark.parametrize(
        "shape", [(), (1,), (2, 3), (1, 2, 3, 4), (2, 1, 2, 1, 2), (0, 3), (0,)], ids=str
    )
    def test_every_rank_and_no_elements(
        self, compiled: Compile, tmp_path: Path, shape: tuple[int, ...]
    ) -> None:
        x = noise(shape)

        check(compiled(models.relu(tmp_path, shape)), {"x": x}, {"y": np.maximum(x, 0)})

    def test_convolution_is_right(self, compiled: Compile, tmp_path: Path) -> None:
        model = models.conv(tmp_path, batch=2)
        feeds = {"x": noise((2, 3, 16, 16))}

        check(compiled(model), feeds, models.expected(model, feeds), rtol=1e-5)

    def test_several_inputs_and_outputs_keep_their_names(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        a, b, c = noise((2, 3)), noise((2, 1), seed=1), np.array([True, False, True, True, False])

        check(
            compiled(models.mixed(tmp_path)),
            {"c": c, "a": a, "b": b},
            {"twice": a + a, "flag": ~c, "total": a + b, "same": a},
        )

    def test_specs_are_those_of_the_file(self, compiled: Compile, tmp_path: Path) -> None:
        model = models.mixed(tmp_path)
        made = compiled(model)

        assert made.inputs == model.inputs
        assert made.outputs == model.outputs

    def test_input_that_no_operator_reads_is_still_an_input(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        inputs = [("x", "f4", (4,)), ("unread", "f4", (2,))]
        model = models.save(tmp_path, [models.node("Neg", "x", "y")], inputs, [("y", "f4", (4,))])
        x = noise((4,))

        check(compiled(model), {"x": x, "unread": noise((2,))}, {"y": -x})

    @pytest.mark.parametrize("size", SIZES)
    def test_input_may_be_an_output_too(self, compiled: Compile, tmp_path: Path, size: int) -> None:
        x = noise((size,))
        tensor = ("x", "f4", (size,))
        model = models.save(
            tmp_path, [models.node("Relu", "x", "y")], [tensor], [tensor, ("y", "f4", (size,))]
        )

        check(compiled(model), {"x": x}, {"x": x, "y": np.maximum(x, 0)})

    def test_one_tensor_may_be_two_outputs(self, compiled: Compile, tmp_path: Path) -> None:
        x = noise((4,))
        nodes = [models.node("Identity", "x", "first"), models.node("Identity", "x", "second")]
        model = models.save(
            tmp_path, nodes, [("x", "f4", (4,))], [("second", "f4", (4,)), ("first", "f4", (4,))]
        )

        check(compiled(model), {"x": x}, {"second": x, "first": x})

    def test_shape_that_depends_on_the_data(self, compiled: Compile, tmp_path: Path) -> None:
        request = compiled(models.nonzero(tmp_path)).create_request({"x": (4,)})
        for values in ([1, 0, 2, 0], [0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 5]):
            x = np.array(values, "f4")
            check_request(request, {"x": x}, {"y": np.array(np.nonzero(x))})

    @pytest.mark.parametrize("size", SIZES)
    def test_infer_leaves_its_feeds_alone(
        self, compiled: Compile, tmp_path: Path, size: int
    ) -> None:
        x = noise((size,))
        before = x.copy()
        compiled(models.relu(tmp_path, (size,))).create_request().infer({"x": x})

        np.testing.assert_array_equal(before, x)

    @pytest.mark.parametrize("shape", [(SIZES[0],), (SIZES[1],), ("N",)], ids=str)
    @pytest.mark.parametrize("size", SIZES)
    def test_infer_takes_read_only_feeds(
        self, compiled: Compile, tmp_path: Path, size: int, shape: tuple[int | str]
    ) -> None:
        x = noise((size,))
        x.flags.writeable = False
        request = compiled(
            models.relu(tmp_path, (size if shape != ("N",) else "N",))
        ).create_request()

        np.testing.assert_array_equal(np.maximum(x, 0), request.infer({"x": x})["y"])

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("dynamic", [False, True], ids=["fixed", "dynamic"])
    def test_results_of_infer_are_the_callers_own(
        self, compiled: Compile, tmp_path: Path, size: int, dynamic: bool
    ) -> None:
        request = compiled(models.relu(tmp_path, ("N" if dynamic else size,))).create_request(
            {"x": (size,)}
        )
        x = noise((size,))
        first = request.infer({"x": x})["y"]
        second = request.infer({"x": -x})["y"]
        request.inputs["x"].fill(7)
        request.run()

        np.testing.assert_array_equal(np.maximum(x, 0), first)
        np.testing.assert_array_equal(np.maximum(-x, 0), second)
        assert first.flags.writeable
        assert not np.shares_memory(first, request.outputs["y"])

    @pytest.mark.parametrize("size", SIZES)
    def test_infer_and_run_may_alternate(
        self, compiled: Compile, tmp_path: Path, size: int
    ) -> None:
        x = noise((size,))
        request = compiled(models.relu(tmp_path, (size,))).create_request()
        request.infer({"x": x})
        request.inputs["x"][...] = -x
        request.run()

        np.testing.assert_array_equal(np.maximum(-x, 0), request.outputs["y"])

    # -- shapes ---------------------------------------------------------------------------------

    def test_dynamic_batch_follows_resize(self, compiled: Compile, tmp_path: Path) -> None:
        model = models.conv(tmp_path)
        request = compiled(model).create_request()
        for batch in (2, 1, 5, 2):
            feeds = {"x": noise((batch, 3, 16, 16), seed=batch)}
            check_request(request, feeds, models.expected(model, feeds), rtol=1e-5)

    def test_dynamic_dimensions_are_1_at_first(self, compiled: Compile, tmp_path: Path) -> None:
        request = compiled(models.relu(tmp_path, ("N", 3))).create_request()

        assert request.inputs["x"].shape == (1, 3)

    def test_infer_takes_any_shape_without_resize(self, compiled: Compile, tmp_path: Path) -> None:
        request = compiled(models.relu(tmp_path, ("N", 3))).create_request()
        for batch in (4, 1, 0, 20_000, 2):
            x = noise((batch, 3))
            np.testing.assert_array_equal(np.maximum(x, 0), request.infer({"x": x})["y"])

    @pytest.mark.parametrize(
        "shapes",
        [{"x": (2, 4)}, {"x": (2,)}, {"x": (-1, 3)}, {"q": (1, 3)}, {"x": (2, 3), "y": (2, 3)}],
        ids=str,
    )
    def test_wrong_resize_is_refused_and_changes_nothing(
        self, compiled: Compile, tmp_path: Path, shapes: dict[str, tuple[int, ...]]
    ) -> None:
        made = compiled(models.relu(tmp_path, ("N", 3)))
        request = made.create_request({"x": (2, 3)})
        x = noise((2, 3))
        request.inputs["x"][...] = x

        with pytest.raises(InputError, match=r"x|q|y"):
            request.resize(shapes)
        with pytest.raises(InputError, match=r"x|q|y"):
            made.create_request(shapes).inputs["x"].fill(0)

        request.run()
        np.testing.assert_array_equal(np.maximum(x, 0), request.outputs["y"])

    @pytest.mark.parametrize(
        ("name", "shape"), [("a", (SIZES[1], 5)), ("a", (2, 2, 2)), ("nothing", (SIZES[1], 2))]
    )
    def test_wrong_feed_is_refused_and_the_request_still_works(
        self, compiled: Compile, tmp_path: Path, name: str, shape: tuple[int, ...]
    ) -> None:
        request = compiled(models.add(tmp_path, ("N", 2))).create_request(
            {"a": (2, 2), "b": (2, 2)}
        )
        with pytest.raises(InputError, match=name):
            request.infer({"b": noise((SIZES[1], 2)), name: noise(shape)})
        a, b = noise((2, 2), seed=1), noise((2, 2), seed=2)

        check_request(request, {"a": a, "b": b}, {"c": a + b})

    # -- bind -----------------------------------------------------------------------------------

    def test_bound_input_is_read_at_each_run(self, compiled: Compile, tmp_path: Path) -> None:
        request = compiled(models.relu(tmp_path)).create_request()
        mine = np.array([1, -1, 2, -2], "f4")
        request.bind("x", mine)
        request.run()
        first = request.outputs["y"].copy()
        mine *= -1
        request.run()

        assert request.inputs["x"] is mine
        np.testing.assert_array_equal([1, 0, 2, 0], first)
        np.testing.assert_array_equal([0, 1, 0, 2], request.outputs["y"])

    def test_bound_output_is_written_by_each_run(self, compiled: Compile, tmp_path: Path) -> None:
        request = compiled(models.relu(tmp_path)).create_request()
        mine = np.empty(4, "f4")
        request.bind("y", mine)
        request.inputs["x"][...] = [1, -1, 2, -2]
        request.run()

        assert request.outputs["y"] is mine
        np.testing.assert_array_equal([1, 0, 2, 0], mine)

    def test_bind_of_none_gives_the_own_arrays_back(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        request = compiled(models.relu(tmp_path)).create_request()
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

    def test_bound_array_outlives_the_resize_of_another_input(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        nodes = [models.node("Neg", "a", "c"), models.node("Neg", "b", "d")]
        tensors = [("a", "f4", ("N",)), ("b", "f4", (2,))], [("c", "f4", ("N",)), ("d", "f4", (2,))]
        request = compiled(models.save(tmp_path, nodes, *tensors)).create_request()
        b, d = np.array([4, 5], "f4"), np.empty(2, "f4")
        request.bind("b", b)
        request.bind("d", d)
        request.resize({"a": (3,)})
        request.inputs["a"][...] = [1, 2, 3]
        request.run()

        assert request.inputs["b"] is b
        np.testing.assert_array_equal([-1, -2, -3], request.outputs["c"])
        np.testing.assert_array_equal([-4, -5], d)

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
    def test_unfit_array_is_not_bound(
        self, compiled: Compile, tmp_path: Path, name: str, array: Any
    ) -> None:
        request = compiled(models.relu(tmp_path)).create_request()
        with pytest.raises(InputError, match=repr(name)):
            request.bind(name, array)

        check_request(request, {"x": noise((4,))}, {"y": np.maximum(noise((4,)), 0)})

    def test_read_only_array_is_not_bound_to_an_output(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        array = np.zeros(4, "f4")
        array.flags.writeable = False

        with pytest.raises(InputError, match="'y'"):
            compiled(models.relu(tmp_path)).create_request().bind("y", array)

    def test_bind_of_an_unknown_name_lists_the_tensors(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match=r"'q'.*x, y"):
            compiled(models.relu(tmp_path)).create_request().bind("q", np.zeros(4, "f4"))
