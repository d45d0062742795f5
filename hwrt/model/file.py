"""Files that a model may consist of: regular ones, inside the model's folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from hwrt.errors import InputError, ModelError

__all__ = ["MOST_LOCATIONS", "Malformed", "external_file", "refuse_pointer", "regular_file"]

MOST_LOCATIONS = 4096
"""In how many external places a model may keep its data.  Each takes a dozen calls of the system,
and one file has names without number: ``w``, ``./w``, ``.//w``."""
_POINTER = b"version https://git-lfs.github.com/spec/"


class Malformed(Exception):
    """What is wrong inside a model file: its reader makes a ModelError of it, naming the file."""

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


def regular_file(source: str | os.PathLike[str]) -> Path:
    """The absolute path of a model file that is regular and readable; links are kept in it.

    Raises ModelError where there is none, InputError where ``source`` is no path at all.
    """
    if not isinstance(source, str | os.PathLike) or isinstance(os.fspath(source), bytes):
        raise InputError(f"the model is {source!r:.80}, not a path", hint="give a str or a Path")
    try:
        path = Path(source).absolute()
    except OSError as exc:
        raise ModelError(
            f"the model {str(source)!r} lies in the working folder, which is gone: {exc}",
            hint="change to another folder, or give the whole path",
        ) from exc
    remedy = "check the path and this user's rights"
    if not Path(source).is_absolute():
        remedy += f"; the path is relative to {Path.cwd()}"
    _check_regular(path, "the model file", remedy)
    return path


def _check_regular(path: Path, what: str, remedy: str) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ModelError(f"{what} {path} does not exist", hint=remedy) from None
    except (OSError, ValueError) as exc:  # ValueError: a NUL character in the name
        raise ModelError(f"{what} {str(path)!r} can not be read: {exc}", hint=remedy) from exc
    if stat.S_ISDIR(mode):
        raise ModelError(f"{what} {path} is a folder", hint=remedy)
    if not stat.S_ISREG(mode):
        raise ModelError(f"{what} {path} is a pipe, socket or device", hint="save it to a file")
    if not os.access(path, os.R_OK):
        raise ModelError(f"{what} {path} is not readable for this user", hint=remedy)


def external_file(model: Path, location: str, *, owner: str) -> Path:
    """The file at ``location`` beside the model, as ``owner`` (a tensor, say) asks for it.

    ``location`` is untrusted.  The file must be a regular one that really lies below the folder in
    which the model is named or the one in which it really lies (a cache of symbolic links, as
    Hugging Face's, keeps both together).  Raises ModelError otherwise.
    """
    pure = PurePosixPath(location)
    asked = f"{model}: {owner} keeps its data in {location!r}"
    inside = "give the model with its data files beside it, all in one folder"
    if not location or pure.is_absolute() or PureWindowsPath(location).drive:
        raise ModelError(f"{asked}, which is not a relative path", hint=inside)
    if ".." in pure.parts:
        raise ModelError(f"{asked}, which leaves the model's folder", hint=inside)
    path = model.parent / pure
    _check_regular(path, f"the data file of {model.name}'s {owner},", inside)
    real = Path(os.path.realpath(path))
    folders = {Path(os.path.realpath(model.parent)), Path(os.path.realpath(model)).parent}
    if not any(real.is_relative_to(folder) for folder in folders):
        raise ModelError(f"{asked}, a link to {real} outside the model's folder", hint=inside)
    with path.open("rb") as file:
        refuse_pointer(path, file.read(len(_POINTER)))
    return path


def refuse_pointer(path: Path, head: bytes) -> None:
    """Raise ModelError where the file is what git-lfs leaves in place of a large file."""
    if head.startswith(_POINTER):
        raise ModelError(
            f"{path} is a git-lfs pointer, not the file itself", hint="run: git lfs pull"
        )
