"""Coral EdgeTPUs: which are attached, and whether their library works with this runtime.

What is attached is read from files.  Their library is first loaded in a child process: Google's
own builds were made for a runtime of 2021 and crash in later ones.  All of this was tried with
stand-ins alone, never with a Coral.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwrt.backend import BackendFailure, Device
from hwrt_litert.lock import Lock
from hwrt_litert.vendor import load

KIND = "edgetpu"
OPERATOR = "edgetpu-custom-op"
"""What edgetpu_compiler makes of the operators that it maps."""
ANOTHER_BUILD = (
    "install a libedgetpu made for this version of LiteRT: "
    "https://github.com/feranick/libedgetpu/releases"
)
# A USB accelerator before and after its firmware is loaded: vendor and product.
_USB_IDS = frozenset({("1a6e", "089a"), ("18d1", "9302")})
_LIBRARY = "libedgetpu.so.1"
_FOLDERS = (
    "usr/local/lib",
    "usr/lib/*-linux-gnu*",
    "usr/lib",
    "usr/lib64",
    "lib",
    "opt/edgetpu/lib",
)
# Loading the firmware resets a USB accelerator, which takes seconds.
_TIMEOUT_S = 60.0
_PROGRAM = """
import importlib, sys
package, library, device, model, *path = sys.argv[1:]
sys.path[:] = path or sys.path
try:
    module = importlib.import_module(package)
    delegate = module.load_delegate(library, {"device": device})
    if model:
        interpreter = module.Interpreter(model, experimental_delegates=[delegate])
        interpreter.allocate_tensors()
        interpreter.invoke()
        del interpreter
except Exception as exc:
    sys.exit(f"hwrt: {type(exc).__name__}: {' '.join(str(exc).split())}")
"""


# One process at a time can open a device, so a try keeps out every other try, and each opening.
alone = Lock()
_open: dict[tuple[str, Path], weakref.WeakSet[Any]] = {}
os.register_at_fork(after_in_child=_open.clear)


@dataclass(frozen=True)
class Coral:
    """An attached EdgeTPU: libedgetpu's name for it, and the file by which it is opened."""

    index: int
    option: str
    node: Path
    name: str
    identity: str

    @property
    def device(self) -> Device:
        """It as hwrt's device; one process at a time can open it."""
        return Device(KIND, self.index, self.name, self.identity, exclusive=True)

    @property
    def group(self) -> str:
        """The group whose members may open it."""
        return "apex" if self.option.startswith("pci") else "plugdev"

    @property
    def may_be_opened(self) -> bool:
        """True where this user may read and write the file."""
        return os.access(self.node, os.R_OK | os.W_OK)


def attached(root: Path = Path("/")) -> list[Coral]:
    """The EdgeTPUs in the machine, those on PCIe first; nothing is opened."""
    found = [*_on_pci(root), *_on_usb(root)]
    return [
        Coral(index, option, node, name, identity)
        for index, (option, node, name, identity) in enumerate(found)
    ]


def library(root: Path = Path("/")) -> Path | None:
    """The file of libedgetpu, None where none of the usual folders has it."""
    for folder in _FOLDERS:
        for path in sorted(root.glob(f"{folder}/{_LIBRARY}")):
            return path
    return None


def fault(coral: Coral, path: Path, *, model: Path | None = None) -> str | None:
    """Why the EdgeTPU does not work through this library, and with this model; None where it does.

    It is tried in a child process, which may crash or hang.  The device is reset by it.  One that
    this process has open works, and no child could open it, so it is not tried.
    """
    with alone:
        return None if _open.get((coral.identity, path)) else _tried(coral, path, model)


def opened(coral: Coral, path: Path, load_delegate: Callable[..., Any]) -> Any:
    """A delegate for one interpreter, by which this process has the EdgeTPU open."""
    with alone:
        try:
            delegate = load_delegate(str(path), {"device": coral.option})
        except (OSError, ValueError, AttributeError) as exc:
            raise BackendFailure(f"litert can not open the EdgeTPU: {exc}") from exc
        _open.setdefault((coral.identity, path), weakref.WeakSet()).add(delegate)
        return delegate


def _tried(coral: Coral, path: Path, model: Path | None) -> str | None:
    interpreter = os.environ.get("HWRT_PYTHON") or sys.executable
    package = load().interpreter.__module__
    # Another interpreter has packages of its own; "" is the current folder.
    ours = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100
    search = [] if os.environ.get("HWRT_PYTHON") else ours
    arguments = [package, str(path), coral.option, str(model or ""), *search]
    try:
        done = subprocess.run(
            [interpreter, "-c", _PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{path} did not answer within {_TIMEOUT_S:.0f} s"
    except OSError as exc:
        return f"the interpreter {interpreter} can not be started: {exc}"
    if done.returncode < 0:
        return f"{path} crashes ({_signal_name(-done.returncode)})"
    if done.returncode > 0:
        said = [line[6:] for line in done.stderr.splitlines() if line.startswith("hwrt: ")]
        return f"{path} does not work: {' '.join(said) or f'exit code {done.returncode}'}"
    return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _on_pci(root: Path) -> Iterator[tuple[str, Path, str, str]]:
    for i, node in enumerate(sorted((root / "dev").glob("apex_[0-9]*"))):
        device = root / "sys/class/apex" / node.name / "device"
        address = device.resolve().name if device.exists() else node.name
        yield f"pci:{i}", node, "Coral EdgeTPU on PCIe", f"pci {address}"


def _on_usb(root: Path) -> Iterator[tuple[str, Path, str, str]]:
    count = 0
    for folder in sorted((root / "sys/bus/usb/devices").glob("*")):
        if (_text(folder / "idVendor"), _text(folder / "idProduct")) in _USB_IDS:
            bus, device = _text(folder / "busnum"), _text(folder / "devnum")
            node = root / "dev/bus/usb" / bus.zfill(3) / device.zfill(3)
            # The port stays the same when the firmware is loaded, the device's number does not.
            yield f"usb:{count}", node, "Coral USB Accelerator", f"usb {folder.name}"
            count += 1


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
