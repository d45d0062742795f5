from __future__ import annotations

import numpy as np

from hwrt.spec import TensorSpec
from hwrt.tuning.feeds import user_feeds

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
