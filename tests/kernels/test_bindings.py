"""What hwrt._kernels checks before a kernel sees an array, and the ladder of targets."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")


@pytest.fixture(autouse=True)
def _no_limit() -> Iterator[None]:
    yield
    compiled.limit_target(None)


def _call(**changed: Any) -> None:
    arguments = {
        "logits": np.zeros((2, 10), np.float32),
        "classes": np.empty((2, 3), np.int32),
        "scores": np.empty((2, 3), np.float32),
        "softmax": True,
    }
    compiled.softmax_top_k(**{**arguments, **changed})


def _unaligned(shape: tuple[int, int]) -> np.ndarray:
    size = 4 * shape[0] * shape[1]
    return np.zeros(size + 1, np.uint8)[1:].view(np.float32).reshape(shape)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("logits", np.zeros((2, 10)), "logits is float64, not float32"),
        ("logits", np.zeros((2, 10), ">f4"), "logits is >f4, not float32"),
        ("classes", np.zeros((2, 3), np.int64), "classes is int64, not int32"),
        ("scores", np.zeros((2, 3), np.float16), "scores is float16, not float32"),
    ],
)
def test_another_dtype_is_a_type_error(name: str, array: np.ndarray, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        _call(**{name: array})


def test_what_is_no_array_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _call(logits=[[1.0, 2.0]])


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("logits", np.zeros(10, np.float32), r"logits has the shape \(10,\), not 2 dimensions"),
        ("logits", np.zeros((2, 20), np.float32)[:, ::2], "8 bytes from one class to the next"),
        ("logits", np.zeros((2, 20), np.float32)[:, ::-1], "-4 bytes from one class to the next"),
        ("logits", _unaligned((2, 10)), "logits lies at an address that is no multiple of 4"),
        ("logits", np.zeros((3, 10), np.float32), r"classes has the shape \(2, 3\)"),
        ("logits", np.zeros((2, 2), np.float32), r"classes has the shape \(2, 3\)"),
        ("classes", np.zeros((2, 0), np.int32), r"classes has the shape \(2, 0\)"),
        ("classes", np.zeros((2, 6), np.int32)[:, ::2], "classes is not C-contiguous"),
        ("classes", _read_only(np.zeros((2, 3), np.int32)), "classes is read-only"),
        ("scores", np.zeros((2, 4), np.float32), r"scores has the shape \(2, 4\)"),
        ("scores", np.zeros((3, 2), np.float32).T, "scores is not C-contiguous"),
        ("scores", _read_only(np.zeros((2, 3), np.float32)), "scores is read-only"),
    ],
)
def test_another_shape_or_layout_is_a_value_error(
    name: str, array: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _call(**{name: array})


def test_rows_at_no_multiple_of_four_bytes_are_a_value_error() -> None:
    packed = np.zeros(2, np.dtype([("logits", np.float32, 10), ("tag", np.uint8)]))

    with pytest.raises(ValueError, match="41 bytes from one row to the next"):
        _call(logits=packed["logits"])


def test_targets_begin_with_scalar_and_end_with_the_current_one() -> None:
    targets = compiled.targets()

    assert "scalar" == targets[0]
    assert targets[-1] == compiled.current_target()


@pytest.mark.parametrize("target", compiled.targets())
def test_a_limit_is_the_current_target_until_it_is_lifted(target: str) -> None:
    compiled.limit_target(target)
    limited = compiled.current_target()
    compiled.limit_target(None)

    assert target == limited
    assert compiled.targets()[-1] == compiled.current_target()


def test_an_unknown_limit_is_a_value_error_that_lists_the_targets() -> None:
    with pytest.raises(ValueError, match="target 'mmx' is none of this machine's: scalar"):
        compiled.limit_target("mmx")


def _in_new_process(code: str, max_target: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HWRT_MAX_TARGET": max_target},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("target", compiled.targets())
def test_max_target_makes_this_machine_a_weaker_one(target: str) -> None:
    code = "from hwrt import _kernels as k; k.limit_target(None); print(*k.targets())"

    targets = _in_new_process(code, target).split()

    expected = compiled.targets()[: compiled.targets().index(target) + 1]
    assert expected == tuple(targets)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="avx512 is a target of x86-64 only")
def test_avx512_is_a_limit_above_what_the_kernels_have() -> None:
    targets = _in_new_process("from hwrt import _kernels as k; print(*k.targets())", "avx512")

    assert targets.split()[-1] != "avx512"


def test_an_unknown_max_target_is_an_input_error_that_lists_the_targets() -> None:
    code = """
from hwrt.errors import InputError
from hwrt import kernels
try:
    kernels.active()
except InputError as exc:
    print(exc)
"""

    message = _in_new_process(code, "mmx")

    assert message.startswith("HWRT_MAX_TARGET is 'mmx', which is none of this machine's: scalar")


def test_threads_share_a_kernel_without_disturbing_each_other() -> None:
    logits = np.random.default_rng(0).normal(size=(64, 1000)).astype(np.float32)
    classes = np.empty((8, 64, 5), np.int32)
    scores = np.empty((8, 64, 5), np.float32)
    threads = [
        threading.Thread(target=compiled.softmax_top_k, args=(logits, c, s, True))
        for c, s in zip(classes, scores, strict=True)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    np.testing.assert_array_equal(classes, np.broadcast_to(classes[0], classes.shape))
    np.testing.assert_array_equal(classes[0, :, 0], logits.argmax(axis=1))
