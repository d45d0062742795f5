"""Readings that change from moment to moment: clocks, temperatures, throttling."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwrt.machine.cgroup import groups
from hwrt.machine.proc import read_fields, read_int, read_text

__all__ = ["capped_by", "clocks_mhz", "temperatures_c", "throttle_events", "throttled_periods"]

# Asking a drive for its temperature wakes it up.
_NOT_ASKED = frozenset({"drivetemp", "nvme"})

# Bits 0 to 3 of the Raspberry Pi firmware's get_throttled: what holds at this moment.
_PI_FLAGS = (
    "under-voltage",
    "frequency capped by the firmware",
    "throttled by the firmware",
    "soft temperature limit",
)


def clocks_mhz(cpus: tuple[int, ...], root: Path) -> tuple[float, ...]:
    """The present clock of each given CPU, in MHz; empty where the kernel does not tell."""
    folder = root / "sys/devices/system/cpu"
    khz = [read_int(folder / f"cpu{number}/cpufreq/scaling_cur_freq") for number in cpus]
    known = tuple(value / 1000 for value in khz if value)
    return known or tuple(_clocks_from_cpuinfo(cpus, root))


def temperatures_c(root: Path) -> dict[str, float]:
    """Sensor -> degrees Celsius; of sensors with one name the hottest."""
    found: dict[str, float] = {}
    for name, value in (*_thermal_zones(root), *_hwmon(root)):
        if value is not None and -100_000 < value < 200_000:  # absent sensors answer nonsense
            found[name] = max(value / 1000, found.get(name, -273.15))
    return dict(sorted(found.items()))


def throttle_events(cpus: tuple[int, ...], root: Path) -> int | None:
    """How often, since boot, heat has slowed the given x86 CPUs down; None: not counted."""
    folder = root / "sys/devices/system/cpu"
    counts = [
        read_int(folder / f"cpu{number}/thermal_throttle/{unit}_throttle_count")
        for number in cpus
        for unit in ("core", "package")
    ]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def throttled_periods(root: Path) -> int | None:
    """Periods in which the CPU quota of this process's control groups ran out; None: no quota."""
    first, second = groups("cpu", root=root)
    counts = [read_fields(group / "cpu.stat").get("nr_throttled", "") for group in first + second]
    known = [int(count) for count in counts if count.isdecimal()]
    return sum(known) if known else None


def capped_by(root: Path) -> tuple[str, ...]:
    """What holds clocks down at this moment: cooling devices at work, a Raspberry Pi's firmware."""
    found = set()
    for folder in (root / "sys/class/thermal").glob("cooling_device*"):
        kind = read_text(folder / "type") or ""
        slows = any(word in kind.lower() for word in ("cpufreq", "devfreq", "processor"))
        if slows and (read_int(folder / "cur_state") or 0) > 0:
            found.add(kind)
    flags = _pi_throttled(root)
    found.update(name for bit, name in enumerate(_PI_FLAGS) if flags >> bit & 1)
    return tuple(sorted(found))


def _pi_throttled(root: Path) -> int:
    text = read_text(root / "sys/devices/platform/soc/soc:firmware/get_throttled") or "0"
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _clocks_from_cpuinfo(cpus: tuple[int, ...], root: Path) -> Iterator[float]:
    number = -1
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "processor" and value.isdecimal():
            number = int(value)
        elif key == "cpu MHz" and number in cpus:
            yield float(value)


def _thermal_zones(root: Path) -> Iterator[tuple[str, int | None]]:
    for folder in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        yield read_text(folder / "type") or folder.name, read_int(folder / "temp")


def _hwmon(root: Path) -> Iterator[tuple[str, int | None]]:
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        chip = read_text(folder / "name") or folder.name
        for file in () if chip in _NOT_ASKED else sorted(folder.glob("temp*_input")):
            label = read_text(file.with_name(file.name.replace("_input", "_label")))
            yield f"{chip} {label}" if label else chip, read_int(file)
