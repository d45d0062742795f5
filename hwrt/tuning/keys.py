"""The key of a plan, from the machine, the model and the wish."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import hwrt
from hwrt import registry
from hwrt.backend import Array
from hwrt.machine.fingerprint import fingerprint
from hwrt.machine.fingerprint import key as machine_key
from hwrt.spec import ModelInfo
from hwrt.tuning.plan import Key
from hwrt.tuning.shapes import shapes_to_json
from hwrt.tuning.wish import Wish

__all__ = ["key_of"]


def key_of(info: ModelInfo, wish: Wish, feeds: Sequence[Mapping[str, Array]] | None = None) -> Key:
    """All that a plan for this wish depends on here; ``feeds`` are the user's samples, if any."""
    stamps = {}
    # All of them: one that the wish leaves out may still be the reference.
    for name in registry.names():
        stamps[name] = _stamp(name)
    return Key(
        model=info.sha256,
        machine=machine_key(fingerprint()),
        hwrt=hwrt.__version__,
        stamps=stamps,
        objective=wish.objective,
        accuracy=wish.gate.name or "a function without key",
        shapes=shapes_to_json(wish.shapes),
        threads=wish.threads,
        backends=wish.backends,
        device=wish.device,
        samples=None if feeds is None else _digest(feeds),
        max_memory_bytes=wish.max_memory_bytes,
    )


def _stamp(name: str) -> str:
    try:
        return registry.backend(name).stamp()
    except Exception as exc:  # noqa: BLE001 - a plugin's fault must not reach the others
        return f"unavailable: {exc}"


def _digest(feeds: Sequence[Mapping[str, Array]]) -> str:
    state = hashlib.sha256()
    for arrays in feeds:
        for name, array in sorted(arrays.items()):
            state.update(f"{name} {array.dtype} {array.shape}".encode())
            content = repr(array.tolist()) if array.dtype.hasobject else None
            state.update(array.tobytes() if content is None else content.encode())
    return state.hexdigest()
