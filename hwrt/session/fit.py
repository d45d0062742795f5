"""Whether one engine may take another's place: what users rely on must stay as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from hwrt.backend import Array
from hwrt.errors import InputError
from hwrt.session.engine import Engine
from hwrt.spec import Range, TensorSpec

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
        *_narrower(old, new),
        *_newly_equal(old, new),
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


def _narrower(old: Engine, new: Engine) -> Iterator[str]:
    """Dimensions that the new plan bounds more tightly than the old one."""
    theirs = _sizes(old)
    for name, bounds in _sizes(new).items():
        for i, (bound, own) in enumerate(zip(bounds, theirs.get(name, ()), strict=False)):
            if not isinstance(bound, Range):
                continue
            least, most = (own.min, own.max) if isinstance(own, Range) else (own, own)
            if least is None or most is None or least < bound.min or most > bound.max:
                yield f"dimension {i} of the input {name!r} is {bound.min} to {bound.max} there"


def _newly_equal(old: Engine, new: Engine) -> Iterator[str]:
    """Dimensions that have one name, and so one size, in the new model and not in the old one."""
    sizes, names = _sizes(old), {spec.name: spec.dim_names or () for spec in old.info.inputs}
    places: dict[str, list[int | str | None]] = {}
    for spec in new.info.inputs:
        for i, name in enumerate(spec.dim_names or ()):
            size, *_ = *sizes.get(spec.name, ())[i : i + 1], None
            own, *_ = *names.get(spec.name, ())[i : i + 1], None
            if name is not None:
                places.setdefault(name, []).append(size if isinstance(size, int) else own)
    for name, found in places.items():
        if len(found) > 1 and (None in found or len(set(found)) > 1):
            yield f"the dimensions {name!r} have one size there"


def _sizes(engine: Engine) -> dict[str, tuple[int | Range | None, ...]]:
    """What each dimension of each input may be: a size, a Range, or None for any."""
    given = engine.plan.shapes or {}
    return {spec.name: given.get(spec.name, spec.shape or ()) for spec in engine.inputs}


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
