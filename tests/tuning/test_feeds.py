from __future__ import annotations

import numpy as np

from hwrt.spec import Quantization, TensorSpec
from hwrt.tuning.feeds import random_feeds, user_feeds

SCALE = TensorSpec("scale", np.dtype(np.float32), ())
MATRIX = TensorSpec("matrix", np.dtype(np.float32), (2, 3))


def test_a_scalar_sample_stays_a_scalar() -> None:
    (feeds,) = user_feeds([{"scale": np.float32(2).reshape(())}], [SCALE], limit=1)

    assert feeds["scale"].shape == ()


def test_a_strided_sample_becomes_contiguous() -> None:
    strided = np.arange(6, dtype=np.float32).reshape(3, 2).T
    (feeds,) = user_feeds([{"matrix": strided}], [MATRIX], limit=1)

    assert feeds["matrix"].flags.c_contiguous
    np.testing.assert_array_equal(strided, feeds["matrix"])


def test_random_integers_that_stand_for_numbers_use_all_levels() -> None:
    spec = TensorSpec(
        "x", np.dtype(np.int8), (1, 64, 64), quantization=Quantization((0.1,), (-128,))
    )
    (feeds,) = random_feeds([spec], {"x": (1, 64, 64)}, count=1)

    assert (-128, 127) == (feeds["x"].min(), feeds["x"].max())


def test_random_plain_integers_index_any_table() -> None:
    (feeds,) = random_feeds([TensorSpec("i", np.dtype(np.int64), (99,))], {"i": (99,)}, count=1)

    assert {0, 1} == set(feeds["i"].tolist())
