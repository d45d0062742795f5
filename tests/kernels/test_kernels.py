"""hwrt.kernels: which form serves, and what its functions check."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import pytest

from hwrt import kernels
from hwrt.errors import HwrtError, InputError

LOGITS = np.array([[0.0, 2.0, 1.0]], np.float32)


@pytest.fixture(autouse=True)
def _choose_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_chosen", None)
    monkeypatch.delenv("HWRT_REQUIRE_KERNELS", raising=False)


@pytest.fixture
def no_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hwrt._kernels", None)


@pytest.fixture
def no_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "hwrt.kernels.with_numba", raising=False)
    monkeypatch.delattr(kernels, "with_numba", raising=False)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="hwrt")
    return caplog


def test_the_extension_serves_first_and_says_nothing(log: pytest.LogCaptureFixture) -> None:
    compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")

    assert f"extension {compiled.current_target()}" == kernels.active()
    assert [] == log.records


def test_active_tells_the_target_in_use() -> None:
    compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")
    compiled.limit_target("scalar")
    try:
        active = kernels.active()
    finally:
        compiled.limit_target(None)

    assert "extension scalar" == active


@pytest.mark.usefixtures("no_extension")
def test_numba_serves_where_the_extension_is_missing() -> None:
    pytest.importorskip("numba", reason="numba is not installed")

    classes, _ = kernels.softmax_top_k(LOGITS, 2)

    assert [[1, 2]] == classes.tolist()
    assert "numba" == kernels.active()


def test_numba_compiles_where_it_can_keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    caching = pytest.importorskip("numba.core.caching", reason="numba is not installed")
    from hwrt.kernels import with_numba

    def fill(out: np.ndarray) -> None:
        out[:] = 3

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    out = np.zeros(2)
    with_numba._jit()(fill)(out)

    assert [3.0, 3.0] == out.tolist()


@pytest.mark.usefixtures("no_extension", "no_numba")
def test_numpy_serves_where_both_are_missing() -> None:
    classes, _ = kernels.softmax_top_k(LOGITS, 2)

    assert [[1, 2]] == classes.tolist()
    assert "numpy" == kernels.active()


@pytest.mark.usefixtures("no_extension", "no_numba")
def test_a_missing_extension_is_said_once(log: pytest.LogCaptureFixture) -> None:
    kernels.softmax_top_k(LOGITS, 2)
    kernels.softmax_top_k(LOGITS, 2)

    (record,) = log.records
    assert logging.WARNING == record.levelno
    assert "numpy serves them" in record.getMessage()


@pytest.mark.usefixtures("no_extension")
def test_a_missing_extension_is_an_error_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HWRT_REQUIRE_KERNELS", "1")

    with pytest.raises(HwrtError, match=r"kernels are missing and .*C\+\+17 compiler"):
        kernels.softmax_top_k(LOGITS, 2)


@pytest.mark.usefixtures("no_extension")
def test_no_hint_names_the_other_project_on_pypi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWRT_REQUIRE_KERNELS", "1")

    with pytest.raises(HwrtError) as caught:
        kernels.active()

    assert "pip install hwrt" not in str(caught.value)


def test_results_are_int32_classes_and_float32_probabilities() -> None:
    classes, scores = kernels.softmax_top_k(LOGITS, 3)

    exact = np.exp(LOGITS.astype(np.float64))
    assert (np.int32, np.float32) == (classes.dtype, scores.dtype)
    np.testing.assert_allclose(scores, (exact / exact.sum())[:, [1, 2, 0]], rtol=1e-6)


def test_without_softmax_the_logits_come_back() -> None:
    _, scores = kernels.softmax_top_k(LOGITS, 3, softmax=False)

    assert [[2.0, 1.0, 0.0]] == scores.tolist()


def test_more_than_all_classes_are_all_classes() -> None:
    classes, scores = kernels.softmax_top_k(LOGITS, 5)

    assert (1, 3) == classes.shape == scores.shape


@pytest.mark.parametrize(
    "logits",
    [
        pytest.param(np.asfortranarray(np.tile(LOGITS, (4, 1))), id="column by column"),
        pytest.param(np.tile(LOGITS, (4, 1))[:, ::-1][:, ::-1], id="turned twice"),
        pytest.param(np.repeat(np.tile(LOGITS, (4, 1)), 2, axis=1)[:, ::2], id="every other"),
        pytest.param(
            np.array([(LOGITS[0], 0)] * 4, [("logits", np.float32, 3), ("tag", np.uint8)])[
                "logits"
            ],
            id="packed in records",
        ),
    ],
)
def test_logits_may_lie_in_any_layout(logits: np.ndarray) -> None:
    classes, _ = kernels.softmax_top_k(logits, 3)

    assert [[1, 2, 0]] * 4 == classes.tolist()


@pytest.mark.parametrize(
    ("logits", "k", "message"),
    [
        (np.zeros((1, 3)), 1, "logits is float64"),
        ([[1.0]], 1, "logits is list"),
        (np.zeros(3, np.float32), 1, r"logits has the shape \(3,\)"),
        (np.zeros((2, 0), np.float32), 1, r"logits has the shape \(2, 0\)"),
        (LOGITS, 0, "k is 0"),
        (LOGITS, 2.0, "k is 2.0"),
    ],
)
def test_wrong_arguments_are_input_errors(logits: Any, k: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kernels.softmax_top_k(logits, k)
