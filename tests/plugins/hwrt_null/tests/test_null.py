"""hwrt's conformance suite on this backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
from hwrt_null import Null

from hwrt.backend import Backend
from hwrt.testing import BackendConformance

pytest.importorskip("onnx", reason="onnx is not installed")

NOTHING_KEPT = "it compiles nothing that could be kept"


class TestNull(BackendConformance):
    vendor = "onnx"
    unsupported: ClassVar[Mapping[str, str]] = {
        "test_artefact_is_in_the_cache_dir_and_intact": NOTHING_KEPT,
        "test_artefact_of_another_process_is_used": NOTHING_KEPT,
        "test_artefact_that_can_not_be_kept_is_warned_of": NOTHING_KEPT,
        "test_damaged_artefact_is_built_anew": NOTHING_KEPT,
        "test_refused_artefact_is_built_anew_with_a_warning": NOTHING_KEPT,
        "test_second_compile_needs_the_cache_alone": NOTHING_KEPT,
        "test_second_compile_with_shapes_is_like_the_first": NOTHING_KEPT,
        "test_quantised_model_is_right_and_tells_how_it_is_computed": (
            "onnx's evaluator has DequantizeLinear from opset 19 on; the suite writes opset 17"
        ),
    }

    @pytest.fixture
    def backend(self) -> Backend:
        return Null()
