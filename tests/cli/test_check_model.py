from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwrt.cli.check_model import FORMATS, answer, feeds, write_check_model
from hwrt.model import read


def test_the_answer_is_that_of_the_reference_evaluator_of_onnx(tmp_path: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    path = write_check_model(tmp_path, "onnx")

    (expected,) = ReferenceEvaluator(str(path)).run(None, feeds("onnx"))
    np.testing.assert_allclose(answer()["y"], expected, rtol=1e-5, atol=1e-5)


def test_the_answer_is_that_of_the_reference_kernels_of_litert(tmp_path: Path) -> None:
    interpreter = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="ai-edge-litert is not installed"
    )
    made = interpreter.Interpreter(
        str(write_check_model(tmp_path, "tflite")),
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF,
    )

    (expected,) = made.get_signature_runner()(**feeds("tflite")).values()
    np.testing.assert_allclose(answer()["y"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model_format", FORMATS)
def test_the_check_model_is_of_its_format_and_takes_its_feeds(
    tmp_path: Path, model_format: str
) -> None:
    if model_format == "tflite":
        pytest.importorskip("flatbuffers", reason="flatbuffers is not installed")
    info = read(write_check_model(tmp_path, model_format))

    assert model_format == info.format
    assert {spec.name: spec.shape for spec in info.inputs} == {
        name: array.shape for name, array in feeds(model_format).items()
    }


def test_the_answer_depends_on_every_part_of_the_feed() -> None:
    values = answer()["y"]

    assert values.dtype == np.float32
    assert values.shape == (1, 5)
    assert np.all(np.abs(values) > 1e-3)
