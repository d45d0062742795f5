"""A hostile model as the files of a folder, links, pipes and holes included."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.hostile.bases import Base

__all__ = ["CANARY", "Case", "Content", "Fifo", "Hole", "Link", "Mutator", "write"]

CANARY = "canary.bin"
"""The file beside the model's folder that nobody may open."""


class Link(NamedTuple):
    """A symbolic link."""

    target: str


class Hole(NamedTuple):
    """A file of so many zeros that take no space on the disk."""

    size: int


class Fifo(NamedTuple):
    """A named pipe that nobody writes to: opening it waits for ever."""


class Folder(NamedTuple):
    """An empty folder."""


Content = bytes | Link | Hole | Fifo | Folder
Mutator = Callable[[Base, Random], Mapping[str, Content]]
"""Makes the files of a damaged model; equal seeds make equal files."""


class Case(NamedTuple):
    """A damaged model, and what made it."""

    base: str
    format: str
    mutator: str
    main: str
    files: Mapping[str, Content]


def write(files: Mapping[str, Content], folder: Path) -> None:
    """Make the folder hold these files and nothing else; the canary lies beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    canary = folder.parent / CANARY
    if not canary.exists():
        canary.write_bytes(b"\0" * 4096)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, Link):
            path.symlink_to(content.target)
        elif isinstance(content, Hole):
            with path.open("wb") as file:
                file.truncate(content.size)
        elif isinstance(content, Fifo):
            os.mkfifo(path)
        else:
            path.mkdir()
