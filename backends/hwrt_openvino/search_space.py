"""Which settings of a device are worth measuring."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from hwrt.backend import Device, Limits, Options, OptionValue

__all__ = ["search_space"]

_PINNING = "ENABLE_CPU_PINNING"

_Settings = Mapping[str, OptionValue]


def search_space(
    device: Device, limits: Limits, precisions: Sequence[str], properties: Collection[str]
) -> Iterator[Options]:
    """Options for each precision, the defaults of the first precision first.

    ``properties`` are those that the device has.
    """
    for precision in precisions:
        for settings in _settings(device, limits):
            yield Options(settings, precision=precision)
    # Threads that are bound to a CPU wait for it where another process has taken it.
    if device.kind == "cpu" and limits.threads > 1 and _PINNING in properties and precisions:
        yield Options({_PINNING: False}, precision=precisions[0], threads=limits.threads)


def _settings(device: Device, limits: Limits) -> Iterator[_Settings]:
    """Threads and streams, the default first.

    One thread wins where operators are too small to be shared out.  Several streams, each with a
    part of the threads, serve throughput alone: one request at a time gets one of them.
    """
    most = limits.threads
    side_by_side = limits.objective == "throughput"
    if device.kind != "cpu":
        yield {}
        if side_by_side:
            yield {"PERFORMANCE_HINT": "THROUGHPUT"}
        return
    yield {"threads": most}
    if most > 1:
        yield {"threads": 1}
    if side_by_side and most > 1:
        yield {"threads": most, "streams": most}
    if side_by_side and most >= 4:
        yield {"threads": most, "streams": most // 2}
