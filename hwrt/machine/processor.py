"""What the CPU is: its cores by kind, and the instructions they know."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from hwrt.machine.limits import allowed_cpus, cpu_quota
from hwrt.machine.proc import parse_cpu_list, read_int, read_text

__all__ = ["current_governors", "describe_cpu"]

# What kernels are chosen by; the other flags of x86 change nothing that hwrt runs.
_X86_PREFIXES = ("sse", "ssse", "avx", "amx", "fma", "f16c", "bmi", "popcnt")

# Cores of Arm Ltd. on inference boards, as util-linux's lscpu-arm.c names them: on Arm the kernel
# tells numbers only.  A core that is not listed is named by its number.
_ARM_CORES = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd49": "Neoverse-N2",
    "0xd4b": "Cortex-A78C",
    "0xd4f": "Neoverse-V2",
}


def describe_cpu(root: Path | str = "/") -> dict[str, Any]:
    """The CPUs this process may use, as values for JSON.

    ``model``: name of all kinds of cores; ``cores``: kind -> how many of the allowed CPUs;
    ``online`` and ``allowed``: numbers of CPUs; ``quota``: CPUs' worth of time or None;
    ``isa``: instruction set extensions; ``max_mhz``: the distinct top clocks of the allowed CPUs;
    ``governors``: the distinct frequency governors in force; ``boost``: whether turbo is on.
    """
    root = Path(root)
    blocks = _cpuinfo(root)
    allowed = allowed_cpus(root)
    cores = Counter(_core_kinds(root, blocks, allowed))
    return {
        "model": " + ".join(sorted(cores)),
        "cores": dict(sorted(cores.items())),
        "online": len(parse_cpu_list(read_text(root / "sys/devices/system/cpu/online") or ""))
        or len(blocks)
        or os.cpu_count(),
        "allowed": len(allowed),
        "quota": cpu_quota(root),
        "isa": _isa(blocks),
        "max_mhz": _max_mhz(root, allowed),
        "governors": current_governors(root),
        "boost": _boost(root),
    }


def current_governors(root: Path | str = "/") -> list[str]:
    """The distinct frequency governors in force; empty where clocks are not the kernel's to set."""
    files = (Path(root) / "sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor")
    return sorted({governor for file in files if (governor := read_text(file))})


def _cpuinfo(root: Path) -> dict[int, dict[str, str]]:
    """CPU number -> its lines of /proc/cpuinfo; lines that belong to no CPU are left out."""
    blocks: dict[int, dict[str, str]] = {}
    block: dict[str, str] = {}
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "processor" and value.isdecimal():
            block = blocks.setdefault(int(value), {})
        elif not key:
            block = {}
        else:
            block[key] = value
    return blocks


def _core_kinds(
    root: Path, blocks: dict[int, dict[str, str]], allowed: tuple[int, ...]
) -> list[str]:
    efficient = parse_cpu_list(read_text(root / "sys/devices/cpu_atom/cpus") or "")
    kinds = []
    for number in allowed:
        name = _core_name(blocks.get(number, {}))
        # x86 hybrids give one model name to both kinds of cores.
        kinds.append(f"{name} (efficient core)" if number in efficient else name)
    return kinds


def _core_name(block: dict[str, str]) -> str:
    # 64-bit Arm has no "model name"; 32-bit Arm's is the architecture's ("ARMv7 Processor rev 4").
    implementer, part = block.get("CPU implementer"), block.get("CPU part")
    if implementer and part:
        known = _ARM_CORES.get(part) if implementer == "0x41" else None
        return known or f"Arm core {implementer}:{part}"
    return " ".join(block.get("model name", block.get("uarch", "unknown")).split())


def _isa(blocks: dict[int, dict[str, str]]) -> list[str]:
    """Extensions that every CPU knows: x86's of ``_X86_PREFIXES``, all of another architecture."""
    shared: set[str] | None = None
    for block in blocks.values():
        if "flags" in block:
            flags = {flag for flag in block["flags"].split() if flag.startswith(_X86_PREFIXES)}
        else:
            flags = set(block.get("Features", block.get("isa", "")).split())
        shared = flags if shared is None else shared & flags
    return sorted(shared or ())


def _max_mhz(root: Path, allowed: tuple[int, ...]) -> list[int]:
    folder = root / "sys/devices/system/cpu"
    clocks = (read_int(folder / f"cpu{number}/cpufreq/cpuinfo_max_freq") for number in allowed)
    return sorted({khz // 1000 for khz in clocks if khz})


def _boost(root: Path) -> bool | None:
    folder = root / "sys/devices/system/cpu"
    no_turbo = read_int(folder / "intel_pstate/no_turbo")
    if no_turbo is not None:
        return no_turbo == 0
    boost = read_int(folder / "cpufreq/boost")
    return None if boost is None else boost != 0
