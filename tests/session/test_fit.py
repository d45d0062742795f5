from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.session.fit import check_fit
from hwrt.spec import Quantization, TensorSpec


def engine(name: str, scale: float | None, *, side: str) -> Any:
    """Of one int8 input and one int8 output, the one at ``side`` with this scale."""
    quantization = None if scale is None else Quantization((scale,), (0,))
    bare = TensorSpec("t", np.dtype(np.int8), (1, 4))
    scaled = TensorSpec("t", np.dtype(np.int8), (1, 4), quantization=quantization)
    specs = {"inputs": (bare,), "outputs": (bare,), side: (scaled,)}
    return SimpleNamespace(info=SimpleNamespace(path=SimpleNamespace(name=name), **specs), **specs)


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.parametrize("scale", [0.25, None], ids=["another scale", "no scale"])
def test_integers_that_stand_for_other_numbers_do_not_fit(side: str, scale: float | None) -> None:
    old, new = engine("old", 0.5, side=side), engine("new", scale, side=side)

    with pytest.raises(InputError, match=f"the {side[:-1]} t: int8.* another scale"):
        check_fit(old, new)


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_integers_of_the_same_scale_fit(side: str) -> None:
    check_fit(engine("old", 0.5, side=side), engine("new", 0.5, side=side))
