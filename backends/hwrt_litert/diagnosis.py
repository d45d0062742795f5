"""What goes wrong with installations of LiteRT and with EdgeTPUs, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hwrt.backend import Finding
from hwrt_litert import edgetpu

Probe = Callable[[edgetpu.Coral, Path], "str | None"]


def findings(packages: Sequence[str], *, root: Path, fault: Probe) -> Iterator[Finding]:
    """Faults of these packages, and of the EdgeTPUs below ``root``.

    ``fault`` says why an EdgeTPU does not work through a library, None where it does.
    """
    if len(packages) > 1:
        first, *others = packages
        names = " ".join(name.replace("_", "-") for name in others)
        yield Finding(
            f"{' and '.join(packages)} are installed, each with a runtime of its own: "
            f"hwrt uses {first}",
            f"pip uninstall -y {names}, unless something else needs it",
        )
    library = edgetpu.library(root)
    for coral in edgetpu.attached(root):
        if library is None:
            yield Finding(
                f"there is an EdgeTPU ({coral.identity}), but libedgetpu is not installed",
                edgetpu.ANOTHER_BUILD,
            )
        elif not coral.may_be_opened:
            yield Finding(
                f"{coral.node} is an EdgeTPU that this user may not open",
                f"sudo usermod -aG {coral.group} $USER, then log in again",
            )
        elif reason := fault(coral, library):
            yield Finding(f"the EdgeTPU ({coral.identity}) can not be used: {reason}", mend(reason))


def mend(reason: str) -> str:
    """What to do about an EdgeTPU that does not work for this reason."""
    if "crashes" in reason or "undefined symbol" in reason:
        return edgetpu.ANOTHER_BUILD
    return "end other programs that use it, or unplug it and plug it in again"
