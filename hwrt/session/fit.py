"""Whether one engine may take another's place: what users rely on must stay as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from hwrt.backend import Array
from hwrt.errors import InputError
from hwrt.session.engine import Engine
from hwrt.spec import TensorSpec

__all__ = ["check_fit", "check_outputs"]

Specs = tuple[TensorSpec, ...]
Fits = Callable[[TensorSpec, TensorSpec], bool]


def check_fit(old: Engine, new: Engine) -> None:
    """Raise InputError, listing each difference, unless ``new`` can take the place of ``old``.

    It takes every feed that ``old`` takes, and gives outputs of the same names and dtypes whose
    shapes contradict none of those of ``old``.  Integers that stand for numbers keep their scales:
    callers have made their feeds by them, and read the outputs so.
    """
    faults = [
        *_differences("input", old.inputs, new.inputs, _takes_all),
        *_differences("output", old.outputs, new.outputs, _agrees),
        *_other_scales("input", old.info.inputs, new.info.inputs),
        *_other_scales("output", old.info.outputs, new.info.outputs),
    ]
    if faults:
        raise _refusal(old, new, faults)


def check_outputs(old: Engine, new: Engine, outputs: Mapping[str, Array]) -> None:
    """Raise InputError where these outputs of ``new`` are none that ``old`` promises."""
    faults = []
    for spec in old.outputs:
        array = outputs.get(spec.name)
        if array is None:
            faults.append(f"it gave no output {spec.name!r}")
        elif array.dtype != spec.dtype or not spec.accepts(array.shape):
            faults.append(f"it gave {array.dtype} of shape {array.shape} as {spec}")
    if faults:
        raise _refusal(old, new, faults)


def _refusal(old: Engine, new: Engine, faults: Iterable[str]) -> InputError:
    return InputError(
        f"{new.info.path.name} can not take the place of {old.info.path.name}: {'; '.join(faults)}",
        hint="load it as a session of its own",
    )


def _differences(kind: str, old: Specs, new: Specs, fits: Fits) -> Iterator[str]:
    ours = {spec.name: spec for spec in new}
    theirs = {spec.name: spec for spec in old}
    yield from (f"the {kind} {spec} is missing" for spec in old if spec.name not in ours)
    yield from (f"the {kind} {spec} is one more" for spec in new if spec.name not in theirs)
    for name in sorted(theirs.keys() & ours.keys()):
        before, after = theirs[name], ours[name]
        if before.dtype != after.dtype or not fits(before, after):
            yield f"the {kind} {before} is {after.dtype}[{after.shape_text}] there"


def _other_scales(kind: str, old: Specs, new: Specs) -> Iterator[str]:
    """By the files' word: a backend need not repeat it."""
    ours = {spec.name: spec.quantization for spec in new}
    for spec in old:
        if spec.name in ours and ours[spec.name] != spec.quantization:
            yield f"the {kind} {spec} has another scale or zero point there"


def _takes_all(old: TensorSpec, new: TensorSpec) -> bool:
    """True when every shape that fits ``old`` fits ``new``."""
    if new.shape is None:
        return True
    return (
        old.shape is not None
        and len(old.shape) == len(new.shape)
        and all(
            after is None or after == before
            for before, after in zip(old.shape, new.shape, strict=True)
        )
    )


def _agrees(old: TensorSpec, new: TensorSpec) -> bool:
    """True when no dimension is known to differ."""
    if old.shape is None or new.shape is None:
        return True
    return len(old.shape) == len(new.shape) and all(
        before is None or after is None or before == after
        for before, after in zip(old.shape, new.shape, strict=True)
    )
