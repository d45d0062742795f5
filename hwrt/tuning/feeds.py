"""Sets of feeds: made from a seed or given by the user, and as files for child processes."""

from __future__ import annotations

import json
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from hwrt.arrays import feed_array
from hwrt.backend import Array
from hwrt.errors import InputError
from hwrt.files import write_atomically
from hwrt.machine.limits import memory_limit_bytes, total_memory
from hwrt.spec import ModelInfo, TensorSpec

__all__ = [
    "SampleSource",
    "random_feeds",
    "read_arrays",
    "read_feeds",
    "user_feeds",
    "write_arrays",
    "write_feeds",
]

_NAMES = "names.json"
# What NumPy and zipfile raise for a damaged file; an EOFError would be an interrupt to the command.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@runtime_checkable
class SampleSource(Protocol):
    """What makes samples for a model: from a folder of images, say."""

    @property
    def key(self) -> str | None:
        """What tells these samples from others without making them; None: only they themselves."""

    def feeds(self, info: ModelInfo) -> Iterable[Mapping[str, Array]]:
        """Sets of feeds for the model, in an order that stays."""


def random_feeds(
    inputs: Sequence[TensorSpec],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    count: int,
    seed: int = 0,
) -> list[dict[str, Array]]:
    """``count`` sets of feeds, the same for the same seed.

    Floats are standard normal; uint8 (a frame, mostly) and integers that stand for numbers use all
    levels; other integers are 0 or 1, which indexes any table; strings are decimal numbers.
    """
    _check_memory(inputs, shapes, count)
    generator = np.random.default_rng(seed)
    return [
        {spec.name: _random(generator, spec, shapes[spec.name]) for spec in inputs}
        for _ in range(count)
    ]


def _check_memory(
    inputs: Sequence[TensorSpec], shapes: Mapping[str, tuple[int, ...]], count: int
) -> None:
    """Refuse shapes, such as a mistyped batch, whose feeds this machine can not hold."""
    # Random numbers are drawn as float64 and then converted.
    needed = max((math.prod(shapes[spec.name]) * 8 for spec in inputs), default=0) * (count + 1)
    present = memory_limit_bytes() or total_memory()
    if present is not None and needed > present:
        raise InputError(
            f"feeds of the shapes {dict(shapes)} take {needed >> 20} MiB, "
            f"of which this machine has {present >> 20}",
            hint="give smaller shapes=",
        )


def _random(generator: np.random.Generator, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    kind = spec.dtype.kind
    if kind == "f" or spec.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        return np.asarray(generator.standard_normal(shape)).astype(spec.dtype)
    if kind == "c":
        values = generator.standard_normal(shape) + 1j * generator.standard_normal(shape)
        return np.asarray(values).astype(spec.dtype)
    if kind == "O":
        return np.asarray(generator.integers(0, 10, shape)).astype(str).astype(object)
    low, high = 0, 256 if spec.dtype == np.uint8 else 2
    if spec.quantization is not None and kind in "iu" and spec.dtype.itemsize <= 2:
        low, high = np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max + 1
    return np.asarray(generator.integers(low, high, shape)).astype(spec.dtype)


def user_feeds(
    samples: Iterable[Mapping[str, Array]] | str | os.PathLike[str],
    inputs: Sequence[TensorSpec],
    *,
    limit: int,
) -> list[dict[str, Array]]:
    """The first ``limit`` sets of feeds: given, or one from each .npz or .npy file of a folder.

    They are copies: whoever makes samples one by one may fill one array again and again.  A .npy
    file is the feed of a model with one input.  Raises InputError for feeds that do not fit.
    """
    given = (
        _read_folder(Path(samples), inputs) if isinstance(samples, str | os.PathLike) else samples
    )
    if not isinstance(given, Iterable) or isinstance(given, Mapping | bytes):
        raise _no_samples(f"samples is a {type(given).__name__}")
    feeds = []
    for found in given:
        if not isinstance(found, Mapping):
            raise _no_samples(f"a sample is a {type(found).__name__}")
        # Not ascontiguousarray(), which makes a vector of a scalar.
        feeds.append({name: np.array(feed_array(x, name), order="C") for name, x in found.items()})
        _check(feeds[-1], inputs)
        if len(feeds) == limit:
            break
    if not feeds:
        raise InputError("samples holds nothing", hint="give at least one set of feeds")
    return feeds


def _no_samples(message: str) -> InputError:
    return InputError(message, hint="give an iterable of dicts of name to array, or a folder")


def _read_folder(folder: Path, inputs: Sequence[TensorSpec]) -> Iterable[dict[str, Array]]:
    if not folder.is_dir():
        raise InputError(f"samples is {folder}, which is no folder")
    files = [file for file in sorted(folder.iterdir()) if file.suffix in (".npy", ".npz")]
    if not files:
        raise InputError(
            f"the samples folder {folder} holds no .npy and no .npz file",
            hint="save feeds with numpy.savez(file, **feeds)",
        )
    return (_read_sample(file, inputs) for file in files)


def _read_sample(file: Path, inputs: Sequence[TensorSpec]) -> dict[str, Array]:
    try:
        with file.open("rb") as opened:
            if file.suffix == ".npy":
                return {inputs[0].name: np.lib.format.read_array(opened, allow_pickle=False)}
            if not zipfile.is_zipfile(opened):
                raise ValueError("it is no .npz archive")
            opened.seek(0)
            return dict(np.load(opened, allow_pickle=False))
    except _UNREADABLE as exc:
        raise InputError(
            f"the sample {file} can not be read: {exc or type(exc).__name__}",
            hint="save feeds with numpy.savez(file, **feeds)",
        ) from exc


def _check(feeds: Mapping[str, Array], inputs: Sequence[TensorSpec]) -> None:
    wanted = {spec.name: spec for spec in inputs}
    if set(feeds) != set(wanted):
        raise InputError(
            f"a sample feeds {', '.join(sorted(map(str, feeds))) or 'nothing'}",
            hint=f"the inputs are {', '.join(map(str, inputs))}",
        )
    for name, array in feeds.items():
        if array.dtype != wanted[name].dtype or not wanted[name].accepts(array.shape):
            raise InputError(
                f"a sample feeds {name!r} a {array.dtype} array of shape {array.shape}",
                hint=f"the input is {wanted[name]}",
            )


def write_feeds(folder: Path, feeds: Sequence[Mapping[str, Array]]) -> None:
    """Write each set of feeds below the folder."""
    for i, arrays in enumerate(feeds):
        write_arrays(folder / f"{i:04d}", arrays)


def read_feeds(folder: Path) -> list[dict[str, Array]]:
    """What ``write_feeds`` wrote, its pages shared with other processes until written to."""
    return [read_arrays(part) for part in sorted(folder.iterdir())]


def write_arrays(folder: Path, arrays: Mapping[str, Array]) -> None:
    """Write named arrays: names may be anything, so the files are numbered."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, array in enumerate(arrays.values()):
        stored = array.astype(str) if array.dtype.hasobject else array
        np.save(folder / f"{i}.npy", stored, allow_pickle=False)
    kinds = {name: array.dtype.name for name, array in arrays.items()}
    write_atomically(folder / _NAMES, json.dumps(kinds).encode())


def read_arrays(folder: Path) -> dict[str, Array]:
    """What ``write_arrays`` wrote."""
    kinds: dict[str, str] = json.loads((folder / _NAMES).read_text(encoding="utf-8"))
    return {name: _load(folder / f"{i}.npy", kind) for i, (name, kind) in enumerate(kinds.items())}


def _load(path: Path, kind: str) -> Array:
    stored = np.load(path, allow_pickle=False)
    if kind == "object":
        return np.asarray(stored, object)
    if stored.dtype.kind == "V":  # NumPy stores ml_dtypes' types as raw bytes
        import ml_dtypes

        return np.asarray(stored.view(getattr(ml_dtypes, kind)))
    # A file of no elements can not be mapped.
    mapped = np.load(path, mmap_mode="c", allow_pickle=False) if stored.size else stored
    return np.asarray(mapped)
