"""``hwrt.load`` and ``hwrt.tune`` as users call them: samples may be a folder of images.

``hwrt.loading`` lies below the pipelines, and knows feeds alone.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from hwrt import loading
from hwrt.loading import Samples
from hwrt.source import ModelSource

__all__ = ["load", "samples_for", "tune"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def samples_for(source: ModelSource, arguments: Mapping[str, Any]) -> Samples | None:
    """The ``samples`` among the arguments of a load; a folder of images as the model takes them.

    How it takes them its metadata and its sidecar say.  Raises InputError where neither does.
    """
    samples: Samples | None = arguments.get("samples")
    if not isinstance(samples, str | os.PathLike):
        return samples
    folder = Path(os.path.abspath(samples))  # noqa: PTH100 - nothing is resolved
    if not _may_hold_images(folder):
        return samples
    from hwrt.vision.loading import image_samples
    from hwrt.vision.samples import image_files

    if not image_files(folder):
        return samples
    info = loading.inspect(source, cache=arguments.get("cache", True))
    return image_samples(info, folder, shapes=arguments.get("shapes"))


def _may_hold_images(folder: Path) -> bool:
    """False where the folder's feeds make it needless to load what reads images."""
    try:
        return not any(name.endswith((".npy", ".npz")) for name in os.listdir(folder))  # noqa: PTH208
    except OSError:  # reading the samples says what is wrong with it
        return False


def _with_images(function: Callable[_P, _T]) -> Callable[_P, _T]:
    def with_images(*args: _P.args, **arguments: _P.kwargs) -> _T:
        source: Any = args[0] if args else arguments.get("source")
        if arguments.get("samples") is not None and arguments.get("plan") is None:
            arguments["samples"] = samples_for(source, arguments)
        return function(*args, **arguments)

    return functools.update_wrapper(with_images, function)


load = _with_images(loading.load)
tune = _with_images(loading.tune)
