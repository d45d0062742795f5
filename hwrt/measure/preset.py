"""How long and how often to sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """The least seconds and samples that make a result valid, and the seconds to stop at.

    A slow call reaches ``max_seconds`` before its samples suffice; the verdict then says so.
    """

    name: str
    min_seconds: float
    min_samples: int
    max_seconds: float


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset("quick", min_seconds=3.0, min_samples=64, max_seconds=30.0),  # allows p90
            Preset("standard", min_seconds=10.0, min_samples=662, max_seconds=180.0),  # and p99
            Preset("mlperf", min_seconds=600.0, min_samples=662, max_seconds=1800.0),
        )
    }
)
"""By name.  The least samples are those of p90 and p99 at 99 % confidence."""
