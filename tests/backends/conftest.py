from __future__ import annotations

from hwrt.testing.summary import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]
