from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx.reference import ReferenceEvaluator

from hwrt.cli.check_model import FEED, answer, write_check_model


def test_the_answer_is_that_of_the_reference_evaluator_of_onnx(tmp_path: Path) -> None:
    path = write_check_model(tmp_path / "check.onnx")

    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": FEED})

    assert np.allclose(answer()["y"], expected, rtol=1e-5, atol=1e-5)


def test_the_answer_depends_on_every_part_of_the_feed() -> None:
    values = answer()["y"]

    assert values.dtype == np.float32
    assert values.shape == (1, 5)
    assert np.all(np.abs(values) > 1e-3)
