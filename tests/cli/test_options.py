from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwrt.cli.options import batched, parse_shape, with_batch
from hwrt.errors import InputError
from hwrt.spec import ModelInfo, TensorSpec


def info(*shapes: tuple[int | None, ...] | None) -> ModelInfo:
    inputs = tuple(
        TensorSpec(f"x{number}", np.dtype(np.float32), shape) for number, shape in enumerate(shapes)
    )
    return ModelInfo(Path("m.onnx"), "onnx", "", 0, inputs, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("images=1x3x640x640", ("images", (1, 3, 640, 640))),
        ("a=b:0=7", ("a=b:0", (7,))),
    ],
)
def test_a_shape_is_a_name_and_its_sizes(text: str, expected: object) -> None:
    assert expected == parse_shape(text)


@pytest.mark.parametrize("text", ["images", "=1x3", "images=", "images=1x", "images=-1", "a=0x3"])
def test_what_is_no_shape_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_shape(text)


def test_a_batch_becomes_the_first_dimension_of_every_input() -> None:
    arguments = with_batch(info((None, 3), (None, 5)), {"threads": 1}, 4)

    assert {"threads": 1, "shapes": {"x0": (4, 3), "x1": (4, 5)}} == arguments


def test_without_a_batch_the_arguments_stay() -> None:
    assert {"threads": 1} == with_batch(info((None, None)), {"threads": 1}, None)


def test_a_shape_that_is_given_goes_before_the_batch() -> None:
    arguments = with_batch(info((None, None)), {"shapes": {"x0": (1, 9)}}, 4)

    assert {"shapes": {"x0": (1, 9)}} == arguments


def test_a_batch_for_a_model_of_another_fixed_one_is_an_error() -> None:
    with pytest.raises(InputError, match="has a fixed first dimension, not a batch of 4"):
        with_batch(info((2, 3)), {}, 4)


@pytest.mark.parametrize("shape", [(None, None), (), None])
def test_a_batch_that_does_not_tell_the_shape_is_an_error(
    shape: tuple[int | None, ...] | None,
) -> None:
    with pytest.raises(InputError, match="--shape x0="):
        with_batch(info(shape), {}, 4)


def test_a_zoo_model_is_built_with_the_batch() -> None:
    assert batched("zoo:resnet50", {"threads": 1}, 4) == ("zoo:resnet50@4", {"threads": 1})


def test_a_model_without_a_batch_stays() -> None:
    assert batched("m.onnx", {"threads": 1}, None) == ("m.onnx", {"threads": 1})
