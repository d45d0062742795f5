"""A slice of what `python -m tests.hostile.run` does with more than twenty thousand files."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import pytest

from tests.hostile.bases import Base, made_bases, real_bases, whole_files
from tests.hostile.runner import FINDINGS, Runner, cases

pytest.importorskip("ai_edge_litert", reason="its schema writes the TFLite model to damage")

SEED = 20261125


def outcomes(bases: list[Base], count: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """The number of each outcome, and what was found in words."""
    total: Counter[str] = Counter()
    found = []
    with contextlib.closing(Runner(folder, wall_s=60.0)) as runner:
        for case in cases(bases, SEED, count):
            outcome = runner.run(case)
            total[outcome.kind] += 1
            if outcome.kind in FINDINGS:
                found.append(f"{outcome.kind} by {case.mutator} of {case.base}: {outcome.detail}")
    return total, found


@pytest.mark.slow
def test_damage_to_made_models_is_refused_or_read_rightly(tmp_path: Path) -> None:
    total, found = outcomes(made_bases(), 300, tmp_path)

    assert [] == found
    assert 60 < total["ModelError"] < 270
    assert 30 < total["confirmed"]


@pytest.mark.slow
def test_damage_to_real_models_is_refused_or_read_rightly(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="it writes the IR that is damaged")
    total, found = outcomes(real_bases(shared), 500, tmp_path)

    assert [] == found
    assert 100 < total["ModelError"] < 450
    assert 50 < total["confirmed"]


@pytest.mark.slow
def test_damage_to_real_models_with_their_weights_is_refused_or_read_rightly(
    shared: Path, tmp_path: Path
) -> None:
    total, found = outcomes(whole_files(shared), 24, tmp_path)

    assert [] == found
    assert 24 == total.total()
