"""What users hold: a compiled model with a pool of requests, swapped while it runs if need be."""

from __future__ import annotations

from hwrt.session.engine import Loaded, Origin
from hwrt.session.session import Session

__all__ = ["Loaded", "Origin", "Session"]
