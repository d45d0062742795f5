from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwrt.errors import InputError
from hwrt.vision.sidecar import read_sidecar, sidecar_path


def test_the_sidecar_lies_beside_the_model_under_its_whole_name() -> None:
    assert Path("/m/net.onnx.hwrt.json") == sidecar_path(Path("/m/net.onnx"))


def test_a_sidecar_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert {} == read_sidecar(tmp_path / "net.onnx.hwrt.json")


def test_a_model_whose_name_leaves_no_room_for_a_sidecars_has_none(tmp_path: Path) -> None:
    assert {} == read_sidecar(sidecar_path(tmp_path / ("n" * 245 + ".onnx")))


def test_settings_are_read_and_null_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx.hwrt.json"
    path.write_text(json.dumps({"task": "classify", "mean": [1, 2, 3], "size": 8, "std": None}))

    assert {"task": "classify", "mean": (1.0, 2.0, 3.0), "size": (8, 8)} == read_sidecar(path)


def test_labels_may_be_a_file_beside_the_sidecar(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    path = tmp_path / "net.onnx.hwrt.json"
    path.write_text('{"labels": "names.txt"}')

    assert {"labels": ("cat", "dog")} == read_sidecar(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"means": 1}', "unknown key 'means'.*the keys are task, labels"),
        ('{"mean": "1"}', r"mean in .*hwrt\.json is '1'"),
        ('{"labels": [1]}', r"labels in .*hwrt\.json is \[1\]"),
        ('{"size": [1, 2, 3]}', "size in"),
        ('{"labels": "gone.txt"}', "gone.txt"),
        ("[]", "it holds a list"),
        ("{", "is no sidecar"),
        ("[" * 100_000, "is no sidecar"),
        ('{"mean": NaN}', "mean in"),
    ],
)
def test_a_wrong_sidecar_is_an_error_with_path_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "net.onnx.hwrt.json"
    path.write_text(text)

    with pytest.raises(InputError, match=message) as caught:
        read_sidecar(path)

    assert str(tmp_path) in str(caught.value)


def test_a_sidecar_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx.hwrt.json"
    path.write_bytes(b'{"task": "\xff"}')

    with pytest.raises(InputError, match="is no sidecar"):
        read_sidecar(path)
