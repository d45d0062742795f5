"""The suite that every backend's tests derive from.

A plugin author installs pytest beside hwrt and writes::

    import pytest
    from hwrt.testing import BackendConformance

    class TestMine(BackendConformance):
        vendor = "mine"                       # the vendor's module
        unsupported = {"test_x[y]": "why"}    # test -> why this backend can never pass it

        @pytest.fixture
        def backend(self):
            from hwrt_mine import Mine
            return Mine()

pytest is imported when BackendConformance is asked for, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwrt.testing.conformance import BackendConformance

__all__ = ["BackendConformance"]

_SUITE = ("checking", "compiling", "conformance", "requesting")


def __getattr__(name: str) -> Any:
    if name != "BackendConformance":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    # Before their first import, so that a failing assert shows its values.
    pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _SUITE))
    from hwrt.testing.conformance import BackendConformance

    return BackendConformance
