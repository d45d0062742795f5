"""Finds the control groups that bound this process, version 1, version 2 and both at once.

Sources: cgroups(7), proc_pid_mountinfo(5), the kernel's admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hwrt.machine.proc import read_text

__all__ = ["groups"]


class _Mount(NamedTuple):
    root: str
    point: str
    type: str
    options: tuple[str, ...]


def groups(controller: str, *, root: Path) -> tuple[list[Path], list[Path]]:
    """Folders of this process's groups, the innermost first: (version 1's, version 2's).

    ``controller`` is a version 1 name (``cpu``, ``memory``).  Version 2 has one tree for all, in
    which the files of a controller may be missing.  In a container the outermost folder is as far
    as the container sees.
    """
    paths = _own_paths(root)
    first: list[Path] = []
    second: list[Path] = []
    for mount in _mounts(root):
        if mount.type == "cgroup2" and not second:
            second = _chain(mount, paths.get(""), root)
        elif mount.type == "cgroup" and controller in mount.options and not first:
            first = _chain(mount, paths.get(controller), root)
    return first, second


def _own_paths(root: Path) -> dict[str, str]:
    """Controller -> path of this process's group; version 2's under the empty name."""
    paths: dict[str, str] = {}
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for name in controllers.split(","):
            paths[name] = path
    return paths


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in (read_text(root / "proc/self/mountinfo") or "").splitlines():
        left, found, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if found and len(fields) >= 5 and tail[0] in ("cgroup", "cgroup2"):
            options = tuple(tail[-1].split(","))
            yield _Mount(_unescape(fields[3]), _unescape(fields[4]), tail[0], options)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _chain(mount: _Mount, path: str | None, root: Path) -> list[Path]:
    """Folders from the process's group up to the mount point.

    Where the group is not below the mounted root, as in a container that sees only its own part
    of the tree, the mount point itself is the group.
    """
    top = root / mount.point.lstrip("/")
    inside = "" if path is None else _below(path, mount.root)
    group = top / inside
    if ".." in Path(inside).parts or not group.is_dir():
        group = top
    depth = len(group.relative_to(top).parts)
    return [group, *list(group.parents)[:depth]]


def _below(path: str, mount_root: str) -> str:
    prefix = mount_root.rstrip("/") + "/"
    return path[len(prefix) :] if path.startswith(prefix) else ""
