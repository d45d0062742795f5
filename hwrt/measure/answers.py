"""Outputs compared by what they mean: the best class, the objects, the map, or the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwrt.backend import Array
from hwrt.errors import InputError
from hwrt.measure.detections import HEADS, decode, disagreement, head_of
from hwrt.measure.output_error import OutputError, Tolerance, compare, real_numbers, within
from hwrt.model.meaning import Meaning
from hwrt.spec import TensorSpec

__all__ = ["Answer", "answers_of", "correct", "fits"]

# As for a detection's score.
SURE_MARGIN = 0.08
# What is off by more is wrong, however unsure the reference is: bf16 is at most 0.24 off.
_STATED_L2 = 0.5
# A vector that may be an embedding: at this error its cosine with the reference's is 0.98.
_SUGGESTED_L2 = 0.2
# Of the sum of probabilities in 16 bits, or in integers of a thousand classes.
_ROUNDING = 0.05


class Answer(NamedTuple):
    """One answer, held against the reference's; ``fault`` tells in words how they differ.

    Where the reference is not ``sure`` of its own, a difference is none.
    """

    sure: bool
    fault: str | None = None


def fits(meaning: Meaning, shape: tuple[int, ...]) -> bool:
    """True where an output of this shape can hold what it is said to mean."""
    if meaning.kind == "classes":
        return len(shape) >= 2 and shape[1] >= 2 and all(size == 1 for size in shape[2:])
    if meaning.kind == "detections":
        if len(shape) != 3:
            return False
        head = meaning.head if meaning.head in HEADS else head_of(shape)
        return shape[1] > 4 if head == "yolov8" else shape[2] > 5
    if meaning.axis is not None:
        return len(shape) == 4
    return True


def answers_of(
    meaning: Meaning,
    spec: TensorSpec,
    output: Array,
    reference: Array,
    error: OutputError,
    *,
    tolerance: Tolerance,
) -> list[Answer]:
    """What one output says of each image; of all at once where images are not told apart.

    Both arrays have one shape and dtype, and NaN and infinities at the same places.
    ``error`` is what ``compare`` found of these two; ``tolerance`` is for what is compared as
    numbers or element by element.
    """
    is_plain_map = meaning.kind == "label map" and meaning.axis is None
    if meaning.kind == "numbers" or is_plain_map or not fits(meaning, reference.shape):
        return [Answer(True, within({spec.name: error}, tolerance))]
    ours, right = real_numbers(output, spec), real_numbers(reference, spec)
    if meaning.axis is not None:
        maps = (np.argmax(array, axis=meaning.axis) for array in (ours, right))
        (error,) = compare({"": next(maps)}, {"": next(maps)}).values()
        return [Answer(True, within({spec.name: error}, tolerance))]
    if meaning.kind == "detections":
        return _seen_answers(ours, right, meaning.head if meaning.head in HEADS else None)
    limit = _STATED_L2 if meaning.stated or _are_probabilities(right) else _SUGGESTED_L2
    return [
        _far_off(*rows, limit) or _class_answer(*shares)
        for rows, shares in zip(
            zip(_rows(ours), _rows(right), strict=True), _shares(ours, right), strict=True
        )
    ]


def correct(spec: TensorSpec, output: Array, label: Any) -> list[bool]:
    """Whether the best class of each image is the label: one for all, or one for each."""
    best = np.argmax(_rows(real_numbers(output, spec)), axis=1)
    try:
        wanted = np.broadcast_to(np.asarray(label), best.shape)
    except ValueError as exc:
        raise InputError(
            f"the label {label!r:.80} is none for {len(best)} images", hint="give one for each"
        ) from exc
    return [bool(equal) for equal in best == wanted]


def _seen_answers(ours: NDArray[Any], right: NDArray[Any], head: str | None) -> list[Answer]:
    """An image on which the reference sees nothing tells only of what is added to it."""
    head = head or head_of(right.shape)
    faults = disagreement(ours, right, head)
    seen = [len(objects.scores) > 0 for objects in decode(right, head)]
    return [Answer(s or fault is not None, fault) for s, fault in zip(seen, faults, strict=True)]


def _rows(scores: NDArray[Any]) -> NDArray[Any]:
    return np.reshape(scores, (len(scores), -1))


def _shares(ours: NDArray[Any], right: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Both as probabilities, image by image: margins of logits have no common unit."""
    both = (_rows(ours), _rows(right))
    return zip(*(both if _are_probabilities(right) else map(_softmax, both)), strict=True)


def _are_probabilities(scores: NDArray[Any]) -> bool:
    rows = _rows(scores)
    return bool(rows.size and rows.min() >= 0 and np.abs(rows.sum(axis=1) - 1).max() <= _ROUNDING)


def _softmax(rows: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _far_off(ours: NDArray[Any], right: NDArray[Any], limit: float) -> Answer | None:
    """None where the scores of an image are near enough to look at the best class."""
    (error,) = compare({"": ours}, {"": right}).values()
    if error.relative_l2 is not None and error.relative_l2 <= limit:
        return None
    return Answer(True, f"relative l2 error {error.relative_l2:.3g} exceeds {limit:.3g}")


def _class_answer(ours: NDArray[Any], right: NDArray[Any]) -> Answer:
    """A change of the best class counts where the reference prefers it by more than the error.

    The error excuses no more than ``SURE_MARGIN``: a wholly wrong output would excuse itself.
    """
    best, found = int(np.argmax(right)), int(np.argmax(ours))
    margin = float(right[best] - np.max(np.delete(right, best)))
    error = float(np.max(np.abs(ours - right)))
    sure = margin > min(error, SURE_MARGIN)
    if found == best or not sure:
        return Answer(sure)
    return Answer(
        True,
        f"the best class is {found} where the reference has {best}, by {margin:.3f} "
        f"(output error {error:.3f})",
    )
