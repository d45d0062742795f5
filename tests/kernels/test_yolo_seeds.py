"""Boxes that must equal those of a float64 reference: many seeds, and near the threshold."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from hwrt.kernels import with_numpy

from .forms import FORMS, TARGETS, form
from .heads import crowd, detect, reference, same

compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")

SEEDS = 104


def wrong(seed: int, candidates: int) -> list[tuple[int, str]]:
    """The forms that find something else than the reference."""
    numbers = crowd(seed, candidates)
    thresholds = {"conf": 0.25, "iou": (0.45, 0.7)[seed % 2], "max_det": 300}
    expected = reference(numbers, **thresholds)
    if seed % 4 > 1:  # a head that has the numbers of an anchor together
        numbers = np.asfortranarray(numbers)
    forms_wrong = []
    for name in FORMS if seed < 8 else TARGETS:  # NumPy takes long
        with form(name) as kernels:
            if not same(expected, detect(kernels, numbers, **thresholds)):
                forms_wrong.append((seed, name))
    return forms_wrong


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("candidates", [20, 300, 3000, 8400])
def test_boxes_equal_a_float64_reference_over_104_seeds(candidates: int, part: int) -> None:
    seeds = range(part, SEEDS, 4)

    assert [] == [one for seed in seeds for one in wrong(seed, candidates)]


@pytest.mark.parametrize("iou", [0.3, 0.45, 0.5])
@pytest.mark.parametrize("reach", [0.0, 640.0, 1e5])
def test_boxes_within_an_ulp_of_the_threshold_are_the_oracles(
    kernels: Any, iou: float, reach: float
) -> None:
    rng = np.random.default_rng(int(reach))
    count = 400
    width = rng.uniform(1, 90, count)
    # Moved by this share of its width, a box has the IoU with where it was.
    centres = reach + 200.0 * np.arange(count)
    moved = centres + width * (1 - iou) / (1 + iou)
    numbers = np.empty((5, 2, count))
    numbers[0], numbers[1], numbers[2:4] = (centres, moved), reach, width
    numbers[4] = [[0.9], [0.8]]
    near = numbers.reshape(5, -1).astype(np.float32)
    shift = rng.integers(-2, 3, near.shape[1]).astype(np.float32)
    near[0] += shift * np.spacing(near[0])

    found = detect(kernels, near, iou=iou, max_det=2 * count)

    assert same(detect(with_numpy, near, iou=iou, max_det=2 * count), found)
    assert count < len(found.scores) < 2 * count


def test_eight_threads_decode_at_the_same_time() -> None:
    heads = [crowd(n, 900, anchors=2000) for n in range(8)]
    found: list[list[Any]] = [[] for _ in heads]

    def decode(n: int) -> None:
        found[n] = [detect(compiled, heads[n]) for _ in range(20)]

    threads = [threading.Thread(target=decode, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    alone = [detect(with_numpy, numbers) for numbers in heads]
    assert [20] * 8 == [sum(same(a, b) for b in many) for a, many in zip(alone, found, strict=True)]
