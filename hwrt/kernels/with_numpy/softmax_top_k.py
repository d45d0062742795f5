"""Softmax and the best classes of each row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["softmax_top_k"]

_LEAST_EXPONENT = np.float32(-87.0)


def softmax_top_k(
    logits: NDArray[np.float32],
    classes: NDArray[np.int32],
    scores: NDArray[np.float32],
    softmax: bool,
) -> None:
    """Fill ``classes`` and ``scores`` (n, k) with the k best of each row of ``logits`` (n, C).

    ``hwrt.kernels.softmax_top_k`` says which those are.
    """
    keys = np.where(np.isnan(logits), np.float32(-np.inf), logits)
    # Stable: of two equal logits the lower class comes first.
    classes[...] = np.argsort(-keys, axis=1, kind="stable")[:, : classes.shape[1]]
    values = _probabilities(keys) if softmax else logits
    scores[...] = np.take_along_axis(values, classes.astype(np.intp), axis=1)


def _probabilities(keys: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax of each row; the differences to the maximum are float32, the rest is float64."""
    top = keys.max(axis=1, keepdims=True)
    finite_top = np.where(np.isinf(top), np.float32(0.0), top)
    with np.errstate(over="ignore"):  # -inf is the right difference
        below = np.minimum(keys, finite_top) - finite_top
    weights = np.where(below >= _LEAST_EXPONENT, np.exp(below, dtype=np.float64), 0.0)
    weights = np.where(top == np.inf, keys == np.inf, weights)
    with np.errstate(invalid="ignore"):
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
