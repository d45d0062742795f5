"""The backends that are installed: found by entry point, imported when asked for by name.

A plugin that can not be used is a BackendStatus with its reason, never an exception for the others.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwrt.backend import API_VERSION, Backend
from hwrt.errors import BackendUnavailable, HwrtError, InputError
from hwrt.spec import Device

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "BackendStatus", "backend", "backends", "names", "reads", "told_readers"]

GROUP = "hwrt.backends"


@dataclass(frozen=True)
class BackendStatus:
    """One installed backend: what it can use on this machine, or why it can not be used."""

    name: str
    version: str | None
    available: bool
    devices: tuple[Device, ...] = ()
    reason: str | None = None
    hint: str | None = None
    distribution: str | None = None


def names() -> tuple[str, ...]:
    """The names of the installed backends, in alphabetical order.

    ``HWRT_BACKENDS=a,b`` limits them; a name in it that is not installed is an InputError, and so
    is a value without a name.
    """
    installed = tuple(sorted(_entry_points()))
    wanted = os.environ.get("HWRT_BACKENDS")
    if not wanted:
        return installed
    chosen = [name.strip() for name in wanted.split(",") if name.strip()]
    if not chosen:
        raise InputError(
            f"HWRT_BACKENDS is {wanted!r}, which names no backend",
            hint="give names with commas between them, or unset it",
        )
    for name in chosen:
        if name not in installed:
            raise InputError(
                f"HWRT_BACKENDS names {name!r}, which is not installed",
                hint=f"installed are {', '.join(installed) or 'none'}",
            )
    return tuple(name for name in installed if name in chosen)


def backend(name: str) -> Backend:
    """The backend of this name; one instance per process.

    Raises InputError for a name that is not installed or not allowed by ``HWRT_BACKENDS``, and
    BackendUnavailable for a plugin that can not be used, saying why.
    """
    if name not in names():
        raise InputError(
            f"there is no backend {name!r}", hint=f"there are {', '.join(names()) or 'none'}"
        )
    with _lock:
        if name not in _instances:
            _instances[name] = _create(name, _entry_points()[name])
        return _instances[name]


def reads(name: str, model_format: str) -> bool:
    """True for the name of a backend that can be imported and reads this model format."""
    try:
        return model_format in backend(name).formats
    except HwrtError:  # doctor says what is wrong with it
        return False


def told_readers(model_format: str) -> str:
    """Which installed backends read this model format, as a hint says it."""
    readers = [name for name in names() if reads(name, model_format)]
    if not readers:
        return f"no installed backend reads {model_format}"
    return f"installed backends that read {model_format}: {', '.join(readers)}"


def backends() -> list[BackendStatus]:
    """The state of each installed backend on this machine, by name.

    This imports the vendors' runtimes into this process; `hwrt doctor` tries them in children.
    """
    return [_status(name) for name in names()]


def _status(name: str) -> BackendStatus:
    distribution = _distribution(_entry_points()[name])
    try:
        found = backend(name)
        version = found.stamp()
    except HwrtError as exc:
        return _unusable(name, None, exc, distribution)
    except Exception as exc:  # noqa: BLE001 - a plugin's fault must not reach the others
        return _unusable(name, None, _fault(exc, "stamp()"), distribution)
    try:
        devices = tuple(found.devices())
    except HwrtError as exc:
        return _unusable(name, version, exc, distribution)
    except Exception as exc:  # noqa: BLE001 - as above
        return _unusable(name, version, _fault(exc, "devices()"), distribution)
    if not devices:
        return _unusable(name, version, BackendUnavailable("it lists no device"), distribution)
    return BackendStatus(name, version, True, devices, distribution=distribution)


def _unusable(
    name: str, version: str | None, exc: HwrtError, distribution: str | None
) -> BackendStatus:
    return BackendStatus(name, version, False, (), exc.message, exc.hint, distribution)


def _fault(exc: Exception, where: str) -> HwrtError:
    return BackendUnavailable(
        f"its {where} raised {type(exc).__name__}: {exc}", hint="report it to the plugin's author"
    )


_lock = threading.RLock()
_instances: dict[str, Backend] = {}
_found: dict[str, list[EntryPoint]] | None = None


def _entry_points() -> dict[str, list[EntryPoint]]:
    """Name -> every entry point of that name; metadata is read once per process."""
    global _found
    with _lock:
        if _found is None:
            # 37 ms: not before a backend is asked for.
            from importlib.metadata import entry_points

            _found = {}
            for entry in entry_points(group=GROUP):
                same = _found.setdefault(entry.name, [])
                # A folder on sys.path twice shows its distributions twice.
                if entry.value not in [other.value for other in same]:
                    same.append(entry)
        return _found


def _create(name: str, entries: Sequence[EntryPoint]) -> Backend:
    if len(entries) > 1:
        claims = " and ".join(
            f"{entry.value} of {_distribution([entry]) or 'an unknown distribution'}"
            for entry in entries
        )
        raise BackendUnavailable(
            f"the name {name!r} is claimed by {claims}", hint="uninstall all but one of them"
        )
    try:
        loaded = entries[0].load()
    except (Exception, SystemExit) as exc:  # some vendors' modules end with sys.exit
        raise BackendUnavailable(
            f"the plugin {entries[0].value} does not import: {type(exc).__name__}: {exc}",
            hint="mend or uninstall it",
        ) from exc
    _check(name, loaded, entries[0].value)
    try:
        made: Backend = loaded()
    except Exception as exc:
        raise BackendUnavailable(
            f"{entries[0].value}() raised {type(exc).__name__}: {exc}", hint="mend or uninstall it"
        ) from exc
    return made


def _check(name: str, loaded: object, value: str) -> None:
    if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
        raise BackendUnavailable(
            f"{value} is not a class derived from hwrt.backend.Backend", hint="mend the plugin"
        )
    version = vars(loaded).get("api_version")
    if version != API_VERSION:
        raise BackendUnavailable(
            f"{value} was written for version {version!r} of the contract, this is {API_VERSION}",
            hint="install versions of hwrt-runtime and of the plugin that go together",
        )
    if getattr(loaded, "name", None) != name:
        raise BackendUnavailable(
            f"{value} calls itself {getattr(loaded, 'name', None)!r}, its entry point {name!r}",
            hint="mend the plugin",
        )
    if not isinstance(getattr(loaded, "formats", None), frozenset):
        raise BackendUnavailable(
            f"{value} does not say which model formats it reads",
            hint="mend the plugin: formats is a frozenset of names",
        )


def _distribution(entries: Iterable[EntryPoint]) -> str | None:
    named = [entry.dist.name for entry in entries if entry.dist is not None]
    return " and ".join(dict.fromkeys(named)) or None
