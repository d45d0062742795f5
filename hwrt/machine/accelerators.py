"""The accelerators that the kernel shows, found without any vendor's software."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hwrt.machine.proc import read_fields, read_text

__all__ = ["accelerators"]

Accelerator = dict[str, "str | None"]

_NVIDIA_PCI = "0x10de"
_CORAL_PCI = ("0x1ac1", "0x089a")
# The stick is Global Unichip's until its firmware is loaded and Google's from then on.
_CORAL_USB = {("1a6e", "089a"), ("18d1", "9302")}


def accelerators(root: Path | str = "/") -> list[Accelerator]:
    """One entry per accelerator: ``kind``, ``name``, ``driver`` (name or version; None: unknown).

    Entries are sorted and carry no serial number, UUID or slot, so that twins are equal.  What is
    listed was seen; whether a backend can use it only the backend knows.
    """
    root = Path(root)
    nvidia = [*_nvidia(root)]
    found = [*nvidia, *_tegra(root), *_davinci(root), *_coral(root)]
    found += _drm(root, skip_nvidia=bool(nvidia))
    found += _accel(root)
    return sorted(found, key=lambda entry: [entry[key] or "" for key in ("kind", "name", "driver")])


def _entry(kind: str, name: str, driver: str | None) -> Accelerator:
    return {"kind": kind, "name": name, "driver": driver}


def _nvidia(root: Path) -> Iterator[Accelerator]:
    driver = read_text(root / "sys/module/nvidia/version")
    files = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    for file in files:
        yield _entry("gpu", read_fields(file, ":").get("Model") or "NVIDIA GPU", driver)
    if not files:  # a container may be given the device without the driver's /proc
        for _ in _numbered(root / "dev", "nvidia"):
            yield _entry("gpu", "NVIDIA GPU", driver)


def _tegra(root: Path) -> Iterator[Accelerator]:
    """The GPU inside a Jetson, which hangs on no PCI bus."""
    compatible = read_text(root / "proc/device-tree/compatible") or ""
    chip = re.search(r"nvidia,(tegra\d+)", compatible)
    if chip:
        release = read_text(root / "etc/nv_tegra_release") or ""
        version = re.search(r"R(\d+)[^,]*, REVISION: ([\d.]+)", release)
        yield _entry("gpu", f"NVIDIA {chip[1]}", version and f"R{version[1]}.{version[2]}")


def _davinci(root: Path) -> Iterator[Accelerator]:
    information = read_fields(root / "usr/local/Ascend/driver/version.info", "=")
    driver = information.get("Version") or information.get("version")
    for _ in _numbered(root / "dev", "davinci"):
        yield _entry("npu", "Ascend", driver)


def _coral(root: Path) -> Iterator[Accelerator]:
    for folder in sorted((root / "sys/bus/usb/devices").glob("*")):
        if (read_text(folder / "idVendor"), read_text(folder / "idProduct")) in _CORAL_USB:
            yield _entry("tpu", "Coral USB", None)
    for folder in sorted((root / "sys/bus/pci/devices").glob("*")):
        if (read_text(folder / "vendor"), read_text(folder / "device")) == _CORAL_PCI:
            driver = read_fields(folder / "uevent", "=").get("DRIVER")
            yield _entry("tpu", "Coral PCIe", driver)


def _drm(root: Path, *, skip_nvidia: bool) -> Iterator[Accelerator]:
    for folder in sorted((root / "sys/class/drm").glob("renderD*")):
        device = folder / "device"
        if not (skip_nvidia and read_text(device / "vendor") == _NVIDIA_PCI):
            yield _from_sysfs("gpu", device)


def _accel(root: Path) -> Iterator[Accelerator]:
    for folder in sorted((root / "sys/class/accel").glob("accel*")):
        yield _from_sysfs("npu", folder / "device")


def _from_sysfs(kind: str, device: Path) -> Accelerator:
    """Named by PCI ids (``8086:46a6``), on an SoC by the device tree's (``brcm,2712-v3d``)."""
    event = read_fields(device / "uevent", "=")
    vendor, product = read_text(device / "vendor"), read_text(device / "device")
    if vendor and product:
        name = f"{vendor.removeprefix('0x')}:{product.removeprefix('0x')}"
    else:
        name = event.get("OF_COMPATIBLE_0") or event.get("MODALIAS") or "unknown"
    return _entry(kind, name, event.get("DRIVER"))


def _numbered(folder: Path, prefix: str) -> list[Path]:
    """Device nodes such as nvidia0, without nvidiactl."""
    return [
        path for path in sorted(folder.glob(f"{prefix}*")) if path.name[len(prefix) :].isdigit()
    ]
