"""Intel accelerators that are in the machine but that OpenVINO can not use, and the mend."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hwrt.backend import Finding

_INTEL = "0x8086"


def findings(available: Sequence[str], *, root: Path = Path("/")) -> Iterator[Finding]:
    """Faults found below ``root``, given the devices that OpenVINO lists."""
    nodes = _intel_nodes(root, "dev/dri", "renderD", "sys/class/drm")
    if nodes and not any(name.startswith("GPU") for name in available):
        yield _gpu_finding(nodes)
    nodes = _intel_nodes(root, "dev/accel", "accel", "sys/class/accel")
    if nodes and "NPU" not in available:
        yield Finding(
            f"there is an Intel NPU ({nodes[0]}), but openvino does not list it",
            "install the packages intel-level-zero-npu and intel-driver-compiler-npu of Intel's "
            "linux-npu-driver, and add yourself to the group render",
        )


def _gpu_finding(nodes: list[Path]) -> Finding:
    if not os.access(nodes[0], os.R_OK | os.W_OK):
        return Finding(
            f"{nodes[0]} is an Intel GPU that this user may not open",
            "sudo usermod -aG render $USER, then log in again",
        )
    try:
        ctypes.CDLL("libOpenCL.so.1")
    except OSError:
        return Finding(
            f"{nodes[0]} is an Intel GPU, but OpenCL (libOpenCL.so.1) is not installed",
            "sudo apt-get install intel-opencl-icd ocl-icd-libopencl1",
        )
    return Finding(
        f"{nodes[0]} is an Intel GPU, but openvino does not list it",
        "install Intel's compute runtime: sudo apt-get install intel-opencl-icd",
    )


def _intel_nodes(root: Path, folder: str, prefix: str, sysfs: str) -> list[Path]:
    found = []
    for node in sorted((root / folder).glob(f"{prefix}*")):
        vendor = root / sysfs / node.name / "device" / "vendor"
        if vendor.is_file() and vendor.read_text().strip() == _INTEL:
            found.append(node)
    return found
