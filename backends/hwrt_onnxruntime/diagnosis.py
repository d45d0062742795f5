"""What goes wrong with installations of ONNX Runtime, and how to mend it."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

from hwrt.backend import Finding

# All of these write the same folder site-packages/onnxruntime.
_DISTRIBUTIONS = tuple(
    f"onnxruntime{suffix}"
    for suffix in (
        "",
        "-gpu",
        "-openvino",
        "-cann",
        "-directml",
        "-migraphx",
        "-qnn",
        "-rocm",
        "-training",
    )
)
# What the CUDA provider is linked to or opens, without version: the soname's end differs by build.
_CUDA_LIBRARIES = ("cublasLt", "cublas", "curand", "cufft", "cudart", "cudnn")


def findings(
    *,
    installed: Callable[[], list[str]] | None = None,
    loads: Callable[[str], bool] | None = None,
) -> Iterator[Finding]:
    """Faults of this machine's installation.  The arguments stand in for the machine in tests."""
    names = (installed or _installed)()
    if len(names) > 1:
        yield Finding(
            f"{' and '.join(names)} are installed over each other in one folder, their files mixed",
            f"pip uninstall -y {' '.join(names)}; then pip install the one you want",
            fatal=True,
        )
    if "onnxruntime-gpu" in names and not (loads or _loads)("libcuda.so.1"):
        yield Finding(
            "onnxruntime-gpu is installed, but there is no NVIDIA driver (libcuda.so.1 does not "
            "load): CUDA sessions would silently run on the CPU",
            "install the driver, or: pip uninstall -y onnxruntime-gpu && pip install onnxruntime",
        )
    elif "onnxruntime-gpu" in names:
        missing = [name for name in _CUDA_LIBRARIES if not _has_cuda_library(name)]
        if missing:
            yield Finding(
                f"onnxruntime-gpu finds no lib{', lib'.join(missing)}: "
                "CUDA sessions would silently run on the CPU",
                'pip install "onnxruntime-gpu[cuda,cudnn]"',
            )


def _installed() -> list[str]:
    found = []
    for name in _DISTRIBUTIONS:
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _has_cuda_library(name: str) -> bool:
    """True when the library lies where the loader or onnxruntime.preload_dlls looks."""
    from ctypes.util import find_library

    if find_library(name):
        return True
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    folders.append(Path("/usr/local/cuda"))
    return any(next(folder.rglob(f"lib{name}.so*"), None) for folder in folders if folder.is_dir())
