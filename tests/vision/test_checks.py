from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.vision.checks import checked, read_labels


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("task", "detect", "detect"),
        ("labels", ["a", "b"], ("a", "b")),
        ("labels", {0: "a", 1: "b"}, ("a", "b")),
        ("labels", {"1": "b", "0": "a"}, ("a", "b")),
        ("mean", 127.5, (127.5,)),
        ("mean", [1, 2, 3], (1.0, 2.0, 3.0)),
        ("mean", np.array([1, 2, 3], np.float32), (1.0, 2.0, 3.0)),
        ("std", np.float32(2), (2.0,)),
        ("size", 224, (224, 224)),
        ("size", (480, 640), (480, 640)),
        ("size", np.int64(8), (8, 8)),
        ("size", np.array(8), (8, 8)),
        ("mean", np.array(3.0), (3.0,)),
        ("std", np.array(3), (3.0,)),
        ("crop_scale", np.array(1.5), 1.5),
        ("crop_scale", 1, 1.0),
        ("softmax", False, False),
    ],
)
def test_a_setting_has_one_form(key: str, value: Any, expected: Any) -> None:
    assert expected == checked(key, value, "the arguments")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", "detection"),
        ("task", 3),
        ("task", ["detect"]),
        ("labels", []),
        ("labels", [1, 2]),
        ("labels", {0: "a", 2: "b"}),
        ("labels", {"x": "a"}),
        ("labels", 3),
        ("labels", {"a", "b"}),
        ("labels", {0.4: "a", 1.6: "b"}),
        ("labels", {float("inf"): "a"}),
        ("colour", "RGB"),
        ("mean", True),
        ("mean", [True, 1, 1]),
        ("mean", "127.5"),
        ("mean", [1, 2]),
        ("mean", float("nan")),
        ("mean", {"r": 1}),
        ("mean", [[1], [2], [3]]),
        ("mean", {1, 2, 3}),
        ("mean", 10**400),
        ("std", 0),
        ("std", [1, -1, 1]),
        ("resize", "squash"),
        ("size", 0),
        ("size", 16385),
        ("size", 2.5),
        ("size", True),
        ("size", [8]),
        ("size", [8, 8, 3]),
        ("size", "8"),
        ("layout", "nchw"),
        ("crop_scale", 0.9),
        ("crop_scale", float("inf")),
        ("crop_scale", 10**400),
        ("softmax", 1),
    ],
)
def test_a_setting_of_another_kind_is_an_error_naming_key_and_source(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{key} in the arguments is .*give "):
        checked(key, value, "the arguments")


def test_an_error_does_not_repeat_a_whole_file() -> None:
    with pytest.raises(InputError) as caught:
        checked("mean", list(range(10_000)), "the arguments")

    assert len(str(caught.value)) < 200


def test_an_integer_too_long_to_write_is_an_error() -> None:
    with pytest.raises(InputError, match="size in the arguments is int, too long"):
        checked("size", 10**5000, "the arguments")


def test_labels_are_read_from_a_file_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffcat\r\n\r\nfjäril\n\n".encode())

    assert ("cat", "", "fjäril") == checked("labels", path, "the arguments")


def test_only_an_end_of_line_ends_a_label(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("a\u2028b\x0c\rc\x85\n".encode())

    assert ("a\u2028b\x0c", "c\x85") == read_labels(path)


def test_labels_without_end_are_an_error() -> None:
    with pytest.raises(InputError, match="/dev/zero has more than"):
        read_labels(Path("/dev/zero"))


def test_an_empty_file_of_labels_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.touch()

    with pytest.raises(InputError, match="labels in the arguments"):
        checked("labels", str(path), "the arguments")


def test_labels_that_are_not_there_are_an_error_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.txt"):
        read_labels(tmp_path / "gone.txt")


def test_labels_in_another_encoding_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"fj\xe4ril\n")

    with pytest.raises(InputError, match=r"labels\.txt.*can not be read"):
        read_labels(path)
