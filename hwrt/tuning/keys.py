"""The key of a plan, from the machine, the model and the wish."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import hwrt
from hwrt import registry
from hwrt.backend import Array
from hwrt.machine.fingerprint import fingerprint
from hwrt.machine.fingerprint import key as machine_key
from hwrt.spec import ModelInfo
from hwrt.tuning.differences import Here
from hwrt.tuning.feeds import SampleSource
from hwrt.tuning.plan import Key
from hwrt.tuning.shapes import shapes_to_json
from hwrt.tuning.wish import Wish

__all__ = ["here", "key_of", "samples_key"]


def here(info: ModelInfo, wish: Wish, samples: str | None = None) -> Here:
    """What a plan for this wish would be made for now; ``samples`` is their key, if any."""
    machine = fingerprint()
    stamps = {}
    # All of them: one that the wish leaves out may still be the reference.
    for name in registry.names():
        stamps[name] = _stamp(name)
    key = Key(
        model=info.sha256,
        machine=machine_key(machine),
        hwrt=hwrt.__version__,
        stamps=stamps,
        objective=wish.objective,
        accuracy=wish.gate.name or "a function without key",
        shapes=shapes_to_json(wish.shapes),
        threads=wish.threads,
        backends=wish.backends,
        device=wish.device,
        samples=samples,
        max_memory_bytes=wish.max_memory_bytes,
        max_p99_s=wish.max_p99_s,
    )
    return Here(key, machine)


def key_of(info: ModelInfo, wish: Wish, samples: str | None = None) -> Key:
    """All that a plan for this wish depends on here."""
    return here(info, wish, samples).key


def samples_key(
    samples: Iterable[Mapping[str, Array]] | str | os.PathLike[str] | SampleSource,
    samples_id: str | None = None,
) -> str:
    """What tells these samples from others: the user's own name for them, else a digest.

    A folder is known by its files' names, sizes and times; feeds by their content, which is read.
    """
    if samples_id is not None:
        return f"id:{samples_id}"
    if isinstance(samples, SampleSource):
        return samples.key or "unknown"
    if isinstance(samples, str | os.PathLike):
        return _folder_digest(Path(samples))
    return _digest(samples)


def _folder_digest(folder: Path) -> str:
    state = hashlib.sha256()
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # reading the samples says what is wrong with it
        entries = []
    for entry in entries:
        if entry.is_file():
            stat = entry.stat()
            state.update(
                f"{entry.name}\0{stat.st_size} {stat.st_mtime_ns}\0".encode(
                    errors="surrogateescape"
                )
            )
    return state.hexdigest()


def _stamp(name: str) -> str:
    try:
        return registry.backend(name).stamp()
    except Exception as exc:  # noqa: BLE001 - a plugin's fault must not reach the others
        return f"unavailable: {exc}"


def _digest(feeds: Iterable[Mapping[str, Array]]) -> str:
    state = hashlib.sha256()
    for arrays in feeds:
        for name, array in sorted(arrays.items()):
            state.update(f"{name} {array.dtype} {array.shape}".encode())
            content = repr(array.tolist()) if array.dtype.hasobject else None
            state.update(array.tobytes() if content is None else content.encode())
    return state.hexdigest()
