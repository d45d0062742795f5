"""hwrt's conformance suite on this backend, and what is its own."""

from __future__ import annotations

import pytest
from hwrt.backend import Backend
from hwrt.testing import BackendConformance

from hwrt_null import Null


class TestNull(BackendConformance):
    vendor = "onnx"
    unsupported = {}

    @pytest.fixture
    def backend(self) -> Backend:
        return Null()
