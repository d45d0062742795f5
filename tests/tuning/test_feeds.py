from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.spec import Quantization, TensorSpec
from hwrt.tuning.feeds import random_feeds, user_feeds

SCALE = TensorSpec("scale", np.dtype(np.float32), ())
MATRIX = TensorSpec("matrix", np.dtype(np.float32), (2, 3))


def test_a_scalar_sample_stays_a_scalar() -> None:
    (feeds,) = user_feeds([{"scale": np.float32(2).reshape(())}], [SCALE], limit=1)

    assert feeds["scale"].shape == ()


def test_a_strided_sample_becomes_contiguous() -> None:
    strided = np.arange(6, dtype=np.float32).reshape(3, 2).T
    (feeds,) = user_feeds([{"matrix": strided}], [MATRIX], limit=1)

    assert feeds["matrix"].flags.c_contiguous
    np.testing.assert_array_equal(strided, feeds["matrix"])


def test_samples_made_in_one_array_are_kept_apart() -> None:
    one = np.empty((2, 3), np.float32)

    def make() -> Iterator[dict[str, np.ndarray]]:
        for number in range(3):
            one[...] = number
            yield {"matrix": one}

    feeds = user_feeds(make(), [MATRIX], limit=16)

    assert [found["matrix"][0, 0] for found in feeds] == [0, 1, 2]


class Foreign:
    """Another library's array, by DLPack alone."""

    def __dlpack__(self, **named: object) -> object:
        return np.ones((2, 3), np.float32).__dlpack__(**named)  # type: ignore[arg-type]

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def test_a_sample_is_any_array_that_a_feed_may_be() -> None:
    (feeds,) = user_feeds([{"matrix": Foreign()}], [MATRIX], limit=1)  # type: ignore[dict-item]

    np.testing.assert_array_equal(np.ones((2, 3), np.float32), feeds["matrix"])


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (5, "samples is a int"),
        ({"matrix": np.ones((2, 3), np.float32)}, "samples is a dict"),
        ([5], "a sample is a int"),
        ([{5: 1, "matrix": 1}], "a sample feeds 5, matrix"),
        ([{"matrix": [[1], [1, 2]]}], "can not be read as an array"),
    ],
)
def test_what_are_no_samples_is_said(samples: object, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        user_feeds(samples, [MATRIX], limit=1)  # type: ignore[arg-type]


def npz_bytes() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, matrix=np.ones((2, 3), np.float32))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", b""),
        ("a.npy", b"1 2 3\n"),
        ("a.npy", npz_bytes()),
        ("a.npy", b"\x93NUMPY\x01\x00\x08\x00{'descr'"),
        ("a.npz", b""),
        ("a.npz", b"PK\x03\x04 and no more"),
        ("a.npz", npz_bytes()[:150] + b"\xff" * 8 + npz_bytes()[158:]),
        ("a.npz", npz_bytes().replace(b"\x08\x00\x00\x00!\x00", b"\x63\x00\x00\x00!\x00")),
    ],
    ids=["empty", "text", "npz", "cut", "empty npz", "cut npz", "damaged npz", "foreign npz"],
)
def test_a_sample_file_that_can_not_be_read_is_an_input_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InputError, match=rf"{name} can not be read: .*numpy\.savez"):
        user_feeds(tmp_path, [MATRIX], limit=1)


def test_the_samples_of_a_folder_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    np.save(tmp_path / "1.npy", np.full((2, 3), 1, np.float32))
    np.savez(tmp_path / "2.npz", matrix=np.full((2, 3), 2, np.float32))

    feeds = user_feeds(tmp_path, [MATRIX], limit=16)

    assert [found["matrix"][0, 0] for found in feeds] == [1, 2]


def test_random_integers_that_stand_for_numbers_use_all_levels() -> None:
    spec = TensorSpec(
        "x", np.dtype(np.int8), (1, 64, 64), quantization=Quantization((0.1,), (-128,))
    )
    (feeds,) = random_feeds([spec], {"x": (1, 64, 64)}, count=1)

    assert (-128, 127) == (feeds["x"].min(), feeds["x"].max())


def test_random_plain_integers_index_any_table() -> None:
    (feeds,) = random_feeds([TensorSpec("i", np.dtype(np.int64), (99,))], {"i": (99,)}, count=1)

    assert {0, 1} == set(feeds["i"].tolist())
