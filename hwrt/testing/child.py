"""Another process that compiles a model and runs it: ``python -m hwrt.testing.child JOB.json``."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwrt.backend import Array, Backend, Device, Options
from hwrt.model import read

__all__ = ["child_environment", "infer_in_child"]

_LIMIT_S = 120.0


def child_environment() -> dict[str, str]:
    """This process's environment with its ``sys.path``, so that the same plugin is found."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def infer_in_child(
    backend: Backend,
    model: Path,
    feeds: Mapping[str, Array],
    *,
    device: Device,
    folder: Path,
    cache_dir: Path | None = None,
) -> tuple[dict[str, Array], Path | None]:
    """The outputs that a process of its own computes for these feeds, and its artefact.

    Nothing is shared with that process but files.  Its job and the arrays lie in ``folder``.
    Raises AssertionError with what the process said where it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = dict(feeds)
    np.savez(folder / "feeds.npz", **arrays)
    job = {
        "module": type(backend).__module__,
        "name": type(backend).__qualname__,
        "model": str(model),
        "device": [device.kind, device.index],
        "cache_dir": None if cache_dir is None else str(cache_dir),
        "folder": str(folder),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "hwrt.testing.child", str(folder / "job.json")],
        capture_output=True,
        text=True,
        check=False,
        env=child_environment(),
        timeout=_LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "outputs.npz") as outputs:
        told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
        artefact = told["artefact"]
        return dict(outputs), None if artefact is None else Path(artefact)


def _serve(job: Mapping[str, Any]) -> None:
    folder = Path(job["folder"])
    backend = getattr(importlib.import_module(job["module"]), job["name"])()
    with np.load(folder / "feeds.npz") as stored:
        feeds = dict(stored)
    made = backend.compile(
        read(job["model"]),
        Device(*job["device"]),
        options=Options(threads=1),
        cache_dir=None if job["cache_dir"] is None else Path(job["cache_dir"]),
    )
    request = made.create_request({name: array.shape for name, array in feeds.items()})
    np.savez(folder / "outputs.npz", **request.infer(feeds))
    told = {"artefact": None if made.artefact is None else str(made.artefact)}
    (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")
    request.close()
    made.close()


if __name__ == "__main__":
    _serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
