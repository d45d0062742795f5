"""Softmax and top-5: hwrt at each target, its other forms, and what people write in NumPy.

``pytest bench/bench_topk.py`` prints one table a batch size.  Every form of hwrt fills arrays that
are kept; the peers allocate theirs, as people do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from hwrt.kernels import with_numpy

compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")

K = 5
CLASSES = 1000
Run = Callable[[], object]


@pytest.fixture(params=[1, 32], ids=lambda batch: f"b{batch}")
def logits(request: pytest.FixtureRequest) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(0.0, 3.0, (request.param, CLASSES)).astype(np.float32)


@pytest.fixture(params=[*compiled.targets(), "numba", "numpy"])
def form(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    if request.param == "numpy":
        yield with_numpy.softmax_top_k
    elif request.param == "numba":
        pytest.importorskip("numba", reason="numba is not installed")
        from hwrt.kernels import with_numba

        yield with_numba.softmax_top_k
    else:
        compiled.limit_target(request.param)
        yield compiled.softmax_top_k
        compiled.limit_target(None)


def _usual(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What people write."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    classes = np.argsort(probabilities, axis=1)[:, ::-1][:, :K]
    return classes, np.take_along_axis(probabilities, classes, axis=1)


def _partitioned(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """NumPy with care: only the k best are sorted and divided."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    best = np.argpartition(logits, CLASSES - K, axis=1)[:, CLASSES - K :]
    order = np.argsort(-np.take_along_axis(logits, best, axis=1), axis=1)
    classes = np.take_along_axis(best, order, axis=1)
    return classes, np.take_along_axis(weights, classes, axis=1) / weights.sum(1, keepdims=True)


def test_hwrt(
    benchmark: Callable[..., None], logits: np.ndarray, form: Callable[..., None]
) -> None:
    benchmark.group = f"softmax + top-{K} of {CLASSES}, batch {len(logits)}"
    classes = np.empty((len(logits), K), np.int32)
    scores = np.empty((len(logits), K), np.float32)

    benchmark(form, logits, classes, scores, True)

    np.testing.assert_array_equal(classes, _usual(logits)[0])


@pytest.mark.parametrize("peer", [_usual, _partitioned], ids=["numpy-usual", "numpy-careful"])
def test_peer(
    benchmark: Callable[..., None], logits: np.ndarray, peer: Callable[[np.ndarray], object]
) -> None:
    benchmark.group = f"softmax + top-{K} of {CLASSES}, batch {len(logits)}"

    classes, _ = benchmark(peer, logits)

    np.testing.assert_array_equal(classes, _usual(logits)[0])
