"""The child that reads hostile files, and the one that confirms what was read.

    python -m tests.hostile.worker read hwrt.model:read
    python -m tests.hostile.worker confirm

Each line on standard input is a JSON object with the ``path`` of a case; each is answered by a
line.  A read that takes more than CPU_S of processor time ends the process by SIGPROF, in whatever
code it is; what it opens is told by an audit hook.
"""

from __future__ import annotations

import codecs
import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwrt.errors import ModelError, UnsupportedModel
from tests.hostile.oracle import differences

CPU_S = 2.0
MEMORY_KB = 512 << 10
_SAFETY_BYTES = 3 << 30
"""Address space beyond what the process has: a net under the limit on resident memory."""


class _Opened:
    """Which files are opened while a case is read."""

    def __init__(self) -> None:
        self.watching = False
        self.paths: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self.watching and event in ("open", "os.listdir", "os.scandir") and args:
            self.paths.append(
                os.fsdecode(args[0]) if isinstance(args[0], str | bytes) else repr(args[0])
            )

    def outside(self, folder: str) -> list[str]:
        """What was opened outside of the folder, links followed."""
        real = os.path.realpath(folder)
        return [
            path
            for path in self.paths
            if os.path.commonpath([real, os.path.realpath(path)]) != real
        ]


def _mark(path: Path, name: str) -> None:
    """Opens a file by whose name strace's record tells where a read begins and ends."""
    with contextlib.suppress(FileNotFoundError):
        os.close(os.open(path.parent / f"{name}-of-read", os.O_RDONLY))


def read(reader: Callable[[Path], Any], path: Path, opened: _Opened) -> dict[str, Any]:
    """What became of reading one file."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory counts from here
    opened.paths.clear()
    info, error = None, None
    _mark(path, "begin")
    started = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    opened.watching = True
    try:
        info = reader(path)
    except BaseException as exc:  # noqa: BLE001 - even an exit is a finding
        error = exc
    finally:
        opened.watching = False
        signal.setitimer(signal.ITIMER_PROF, 0)
    answer = _told(error)
    answer["cpu_s"] = round(time.process_time() - started, 4)
    _mark(path, "end")
    answer["peak_kb"] = _peak_kb()
    answer["outside"] = opened.outside(str(path.parent))
    answer["facts"] = None if info is None else facts(info)
    return answer


def _told(error: BaseException | None) -> dict[str, Any]:
    if error is None:
        return {"outcome": "read", "detail": ""}
    if isinstance(error, ModelError | UnsupportedModel):
        return {"outcome": type(error).__name__, "detail": str(error)[:300]}
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    detail = f"{type(error).__name__} at {where}: {str(error)[:200]}"
    return {"outcome": "exception", "detail": detail}


def facts(info: Any) -> dict[str, Any]:
    """What is compared of a ModelInfo, as values for JSON."""

    def tensors(specs: Any) -> list[Any]:
        return [
            [spec.name, _dtype_name(spec.dtype), None if spec.shape is None else list(spec.shape)]
            for spec in specs
        ]

    return {
        "format": info.format,
        "inputs": tensors(info.inputs),
        "outputs": tensors(info.outputs),
        "operators": dict(info.operators),
        "external_files": [str(file) for file in info.external_files],
    }


def _dtype_name(dtype: Any) -> str:
    dtype = np.dtype(dtype)
    return "object" if dtype.hasobject else dtype.name


def _peak_kb() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/status names no VmHWM")


def _limit_address_space() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + _SAFETY_BYTES, size + _SAFETY_BYTES))


def main() -> None:
    # Vendors print on standard output: the answers go out by a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.argv[1] == "read":
        module, name = sys.argv[2].split(":")
        reader = getattr(importlib.import_module(module), name)
        import ml_dtypes  # noqa: F401
        import onnx  # noqa: F401 - imports are no part of a read

        # Python imports a codec when it is first used.
        for codec in ("cp437", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
            codecs.lookup(codec)

        opened = _Opened()
        _limit_address_space()
        work: Callable[[dict[str, Any]], dict[str, Any]] = lambda asked: read(  # noqa: E731
            reader, Path(asked["path"]), opened
        )
    else:
        work = lambda asked: {"found": differences(asked["facts"], Path(asked["path"]))}  # noqa: E731
    for line in sys.stdin:
        print(json.dumps(work(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
