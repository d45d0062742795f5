from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.spec import ModelInfo, Range, TensorSpec
from hwrt.tuning.shapes import check_shapes, shapes_from_json, shapes_to_json, typical_shapes

F4 = np.dtype(np.float32)
IMAGES = TensorSpec("images", F4, (None, 3, None), ("N", None, "W"))
MASKS = TensorSpec("masks", F4, (None, None), ("N", None))
SCALE = TensorSpec("scale", F4, ())
EMPTY = TensorSpec("empty", F4, (0, 3))
ANY = TensorSpec("any", F4, None)


def model(*inputs: TensorSpec) -> ModelInfo:
    return ModelInfo(Path("m.onnx"), "onnx", "0", 0, inputs, ())


def test_sizes_may_be_ints_of_numpy_and_triples_are_ranges() -> None:
    checked = check_shapes(model(IMAGES), {"images": (np.int64(2), 3, (1, 2, 4))})

    assert checked == {"images": (2, 3, Range(1, 2, 4))}
    assert type(checked["images"][0]) is int


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (4, "shapes gives 'images' 4"),
        ((1, 3, True), "a dimension True"),
        ((1, 3, 1.0), r"a dimension 1\.0"),
        ((1, 3, "8"), "a dimension '8'"),
        ((1, 3, -1), "a dimension -1"),
        ((1, 3, (1, 2)), r"\(1, 2\).*a Range has"),
        ((1, 3, Range(5, 2, 4)), "a Range has min <= best <= max"),
        ((1, 3, (1.0, 2, 4)), r"a dimension 1\.0"),
        ((1, 3), r"can not have the shape \(1, 3\)"),
        ((1, 4, 8), r"can not have the shape \(1, 4, 8\)"),
        ((1, Range(3, 3, 3), 8), "can not have the shape"),
    ],
    ids=str,
)
def test_a_shape_that_does_not_fit_is_refused(shape: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_shapes(model(IMAGES), {"images": shape})  # type: ignore[dict-item]


def test_an_unknown_input_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'image', which is no input \(inputs are images\)"):
        check_shapes(model(IMAGES), {"image": (1, 3, 8)})


def test_what_is_not_given_is_1() -> None:
    assert typical_shapes([IMAGES, ANY], {}) == {"images": (1, 3, 1), "any": (1,)}


def test_a_range_is_timed_at_its_best() -> None:
    shapes = {"images": (Range(1, 2, 4), 3, 8)}

    assert typical_shapes([IMAGES], shapes) == {"images": (2, 3, 8)}


def test_scalars_and_empty_inputs_keep_their_shapes() -> None:
    assert typical_shapes([SCALE, EMPTY], {}) == {"scale": (), "empty": (0, 3)}


def test_a_dimension_given_for_one_input_holds_for_others_of_its_name() -> None:
    shapes = {"images": (Range(1, 2, 4), 3, 8)}

    assert typical_shapes([MASKS, IMAGES], shapes)["masks"] == (2, 1)


def test_shapes_survive_json() -> None:
    shapes = {"images": (Range(1, 2, 4), 3, 8)}

    assert shapes_from_json(shapes_to_json(shapes)) == shapes
