from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.session.fit import check_fit
from hwrt.spec import Quantization, Range, TensorSpec


def engine(name: str, scale: float | None, *, side: str) -> Any:
    """Of one int8 input and one int8 output, the one at ``side`` with this scale."""
    quantization = None if scale is None else Quantization((scale,), (0,))
    bare = TensorSpec("t", np.dtype(np.int8), (1, 4))
    scaled = TensorSpec("t", np.dtype(np.int8), (1, 4), quantization=quantization)
    specs = {"inputs": (bare,), "outputs": (bare,), side: (scaled,)}
    return fake(name, **specs)


def fake(name: str, *, shapes: Any = None, **specs: tuple[TensorSpec, ...]) -> Any:
    return SimpleNamespace(
        info=SimpleNamespace(path=SimpleNamespace(name=name), **specs),
        plan=SimpleNamespace(shapes=shapes),
        **specs,
    )


def dynamic(*names: str | None, shapes: Any = None) -> Any:
    """Of float inputs ``a``, ``b``, ... of one dynamic dimension each, which have these names."""
    specs = [
        TensorSpec(name, np.dtype(np.float32), (None,), (dimension,))
        for name, dimension in zip("abc", names, strict=False)
    ]
    return fake("m", shapes=shapes, inputs=tuple(specs), outputs=())


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.parametrize("scale", [0.25, None], ids=["another scale", "no scale"])
def test_integers_that_stand_for_other_numbers_do_not_fit(side: str, scale: float | None) -> None:
    old, new = engine("old", 0.5, side=side), engine("new", scale, side=side)

    with pytest.raises(InputError, match=f"the {side[:-1]} t: int8.* another scale"):
        check_fit(old, new)


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_integers_of_the_same_scale_fit(side: str) -> None:
    check_fit(engine("old", 0.5, side=side), engine("new", 0.5, side=side))


@pytest.mark.parametrize("before", [None, {"a": (Range(1, 2, 5),)}, {"a": (Range(0, 2, 4),)}])
def test_a_plan_of_narrower_bounds_does_not_fit(before: Any) -> None:
    old, new = dynamic("N", shapes=before), dynamic("N", shapes={"a": (Range(1, 1, 4),)})

    with pytest.raises(InputError, match="dimension 0 of the input 'a' is 1 to 4 there"):
        check_fit(old, new)


@pytest.mark.parametrize("before", [{"a": (Range(1, 2, 4),)}, {"a": (3,)}])
def test_a_plan_of_wider_bounds_fits(before: Any) -> None:
    check_fit(dynamic("N", shapes=before), dynamic("N", shapes={"a": (Range(1, 1, 4),)}))


@pytest.mark.parametrize("names", [("M", "N"), (None, None), ("N", None)])
def test_a_model_that_wants_two_dimensions_equal_does_not_fit(
    names: tuple[str | None, ...],
) -> None:
    with pytest.raises(InputError, match="the dimensions 'B' have one size there"):
        check_fit(dynamic(*names), dynamic("B", "B"))


def test_a_model_that_wants_those_dimensions_equal_that_were_so_fits() -> None:
    check_fit(dynamic("N", "N"), dynamic("B", "B"))
    check_fit(dynamic("M", "N", shapes={"a": (4,), "b": (4,)}), dynamic("B", "B"))
    check_fit(dynamic("N", "N", "M"), dynamic("B", "B", "C"))
