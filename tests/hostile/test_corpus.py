"""What was found once stays harmless."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwrt.errors import InputError
from hwrt.tuning.plan import Plan
from tests.hostile.bases import made_bases
from tests.hostile.runner import FINDINGS, Runner

pytest.importorskip("ai_edge_litert", reason="its schema writes the TFLite model to damage")

CORPUS = Path(__file__).with_name("corpus")
MODELS = [
    path for kind in ("onnx", "openvino-ir", "tflite") for path in sorted(CORPUS.glob(f"{kind}/*"))
]
PLANS = sorted(CORPUS.glob("plan/*"))
BESIDE = {name: data for base in made_bases() for name, data in base.files.items()}
"""The data files beside the sound models, as what refers to them must find them."""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with contextlib.closing(Runner(tmp_path_factory.mktemp("hostile"), wall_s=60.0)) as started:
        yield started


@pytest.mark.parametrize("model", MODELS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_kept_file_is_refused_or_read_rightly(
    model: Path, runner: Runner, tmp_path: Path
) -> None:
    path = tmp_path / f"model{model.suffix}"
    for name in ("model.bin", "weights.bin"):
        (tmp_path / name).write_bytes(BESIDE[name])
    shutil.copy(model, path)

    outcome = runner.outcome(path)

    assert outcome.kind not in FINDINGS, outcome


@pytest.mark.parametrize("plan", PLANS, ids=lambda path: path.stem)
def test_a_kept_plan_is_read_or_an_input_error(plan: Path) -> None:
    text = plan.read_text(encoding="utf-8", errors="replace")

    if plan.stem == "sound":
        assert "onnxruntime" == Plan.from_json(text).backend
    else:
        with pytest.raises(InputError):
            Plan.from_json(text)
