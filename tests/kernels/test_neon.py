"""The kernels as an aarch64 machine runs them, under an emulator, against the NumPy oracle."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hwrt.vision.kernels import with_numpy

HERE = Path(__file__).parent
KERNELS = sorted((HERE.parents[1] / "csrc" / "kernels").glob("*.cpp"))
COMPILER = shutil.which("aarch64-linux-gnu-g++")
EMULATOR = shutil.which("qemu-aarch64")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        COMPILER is None or EMULATOR is None,
        reason="no aarch64 compiler and emulator: apt install g++-aarch64-linux-gnu qemu-user",
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("neon") / "neon_check"
    flags = ["-std=c++17", "-O3", "-Wall", "-Wextra", "-Werror", "-static", "-o", str(path)]
    subprocess.run([COMPILER, *flags, str(HERE / "neon_check.cpp"), *KERNELS], check=True)
    return path


def _run(
    program: Path, target: str, logits: np.ndarray, k: int, *, softmax: bool
) -> tuple[np.ndarray, np.ndarray]:
    rows, count = logits.shape
    sizes = [str(n) for n in (rows, count, k, int(softmax))]
    done = subprocess.run(
        [EMULATOR, program, target, *sizes],
        input=logits.tobytes(),
        env={},  # no HWRT_MAX_TARGET of this machine
        capture_output=True,
        check=True,
    )
    classes = np.frombuffer(done.stdout, np.int32, rows * k)
    scores = np.frombuffer(done.stdout, np.float32, rows * k, offset=classes.nbytes)
    return classes.reshape(rows, k), scores.reshape(rows, k)


def _oracle(logits: np.ndarray, k: int, *, softmax: bool) -> tuple[np.ndarray, np.ndarray]:
    classes = np.empty((len(logits), k), np.int32)
    scores = np.empty((len(logits), k), np.float32)
    with_numpy.softmax_top_k(logits, classes, scores, softmax)
    return classes, scores


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 1000, 1001])
@pytest.mark.parametrize("target", ["scalar", "neon"])
def test_classes_and_scores_are_the_oracles(
    program: Path, target: str, count: int, softmax: bool
) -> None:
    logits = np.random.default_rng(count).normal(0.0, 4.0, (5, count)).astype(np.float32)

    classes, scores = _run(program, target, logits, count, softmax=softmax)

    expected_classes, expected_scores = _oracle(logits, count, softmax=softmax)
    np.testing.assert_array_equal(classes, expected_classes)
    np.testing.assert_array_max_ulp(scores, expected_scores, maxulp=4)


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("target", ["scalar", "neon"])
def test_ties_nan_and_infinities_are_the_oracles(program: Path, target: str, softmax: bool) -> None:
    special = np.array([np.nan, -np.inf, 0.0, -0.0, 1.0, 88.0, -88.0], np.float32)
    logits = np.random.default_rng(0).choice(special, (20, 23))
    logits[3, 7:9] = np.inf
    logits[4] = np.nan

    classes, scores = _run(program, target, logits, 23, softmax=softmax)

    expected_classes, expected_scores = _oracle(logits, 23, softmax=softmax)
    np.testing.assert_array_equal(classes, expected_classes)
    np.testing.assert_allclose(scores, expected_scores, rtol=5e-7)
