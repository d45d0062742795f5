from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from hwrt.model.dtypes import dtype_named
from hwrt.model.memo import _seal, from_json, recall, remember, to_json
from hwrt.spec import ModelInfo, Quantization, Signature, TensorSpec

LATER_NS = 10_000_000_000
FULL = ModelInfo(
    path=Path("/models/näme\udcff.onnx"),
    format="onnx",
    sha256="ab" * 32,
    size_bytes=1 << 40,
    inputs=(
        TensorSpec("x", np.dtype(np.float32), (None, 3, 0), ("N", None, None)),
        TensorSpec("open", np.dtype(object), None),
        TensorSpec(
            "q",
            np.dtype(np.int8),
            (1, 2),
            quantization=Quantization((0.1, 0.2), (0, -128), 1),
            aliases=("serving_default_q:0",),
        ),
        TensorSpec("b", dtype_named("bfloat16", owner="b"), ()),
    ),
    outputs=(TensorSpec("y", np.dtype(bool), (None,), (None,)),),
    name="net",
    producer="tests",
    ir_version=8,
    opsets={"ai.onnx": 17},
    metadata={"names": "{0: 'größe'}"},
    operators={"b": 2, "a": 1},
    parameters=12,
    external_files=(Path("/models/w.bin"),),
    quantized=True,
    signatures={"serving_default": Signature(("x", "open"), ("y",))},
    signature="serving_default",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "memo"


@pytest.fixture
def info(tmp_path: Path) -> ModelInfo:
    """What a model with one external file said."""
    path, weights = tmp_path / "m.onnx", tmp_path / "w.bin"
    path.write_bytes(b"model")
    weights.write_bytes(b"weights")
    return replace(FULL, path=path, external_files=(weights,))


def keep(info: ModelInfo, folder: Path) -> None:
    """Remember as if the file had been read long after it was written."""
    remember(info, folder, read_at_ns=info.path.stat().st_ctime_ns + LATER_NS)


def test_a_model_info_survives_json_exactly() -> None:
    copy = from_json(json.loads(json.dumps(to_json(FULL))))
    fields_of = [vars(spec) for spec in (*copy.inputs, *copy.outputs)]

    assert FULL == copy
    assert [spec.dim_names for spec in FULL.inputs] == [spec.dim_names for spec in copy.inputs]
    assert list(FULL.operators) == list(copy.operators)
    assert [type(getattr(FULL, f.name)) for f in fields(FULL)] == [
        type(getattr(copy, f.name)) for f in fields(copy)
    ]
    assert [vars(spec) for spec in (*FULL.inputs, *FULL.outputs)] == fields_of


def test_an_unchanged_model_is_remembered(info: ModelInfo, folder: Path) -> None:
    keep(info, folder)

    assert info == recall(info.path, folder)


def test_a_model_never_seen_is_not_remembered(info: ModelInfo, folder: Path) -> None:
    assert recall(info.path, folder) is None


def test_another_model_is_not_mistaken_for_it(info: ModelInfo, folder: Path) -> None:
    keep(info, folder)
    other = info.path.with_name("other.onnx")
    other.write_bytes(b"model")

    assert recall(other, folder) is None


@pytest.mark.parametrize("name", ["m.onnx", "w.bin"])
def test_a_changed_file_is_read_again(name: str, info: ModelInfo, folder: Path) -> None:
    keep(info, folder)
    info.path.with_name(name).write_bytes(b"another length")

    assert recall(info.path, folder) is None


def test_a_file_changed_in_place_with_its_time_set_back_is_read_again(
    info: ModelInfo, folder: Path
) -> None:
    old = info.path.stat()
    read_at_ns = old.st_ctime_ns + LATER_NS
    remember(info, folder, read_at_ns=read_at_ns)

    with info.path.open("r+b") as file:
        file.write(b"MODEL")
    set_back(info.path, old)

    assert old.st_mtime_ns == info.path.stat().st_mtime_ns
    assert recall(info.path, folder) is None


def set_back(path: Path, old: os.stat_result) -> None:
    """Give the file its old times, until the kernel's clock, which ticks in ms, has moved on."""
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    while old.st_ctime_ns == path.stat().st_ctime_ns:
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))


def test_a_file_replaced_by_its_like_is_read_again(info: ModelInfo, folder: Path) -> None:
    keep(info, folder)
    twin = info.path.with_name("twin")
    twin.write_bytes(b"MODEL")
    twin.replace(info.path)

    assert recall(info.path, folder) is None


@pytest.mark.parametrize("age_ns", [-1_000_000_000, 0, 1_900_000_000])
def test_a_file_that_changed_just_before_it_was_read_is_not_trusted(
    age_ns: int, info: ModelInfo, folder: Path
) -> None:
    read_at_ns = info.path.stat().st_ctime_ns + age_ns
    remember(info, folder, read_at_ns=read_at_ns)

    assert recall(info.path, folder) is None


def test_a_file_from_the_future_is_not_trusted(info: ModelInfo, folder: Path) -> None:
    now_ns = info.path.stat().st_ctime_ns
    os.utime(info.path, ns=(now_ns, now_ns + 10 * LATER_NS))
    keep(info, folder)

    assert recall(info.path, folder) is None


def test_a_lost_external_file_is_left_to_the_reader_to_report(
    info: ModelInfo, folder: Path
) -> None:
    keep(info, folder)
    info.external_files[0].unlink()

    assert recall(info.path, folder) is None


def entry_of(folder: Path) -> Path:
    (entry,) = folder.iterdir()
    return entry


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "not JSON": lambda _: b"\x00\xff\x00",
    "not an object": lambda _: b"[1, 2]",
    "another schema": lambda data: data.replace(b"hwrt.model/2", b"hwrt.model/0"),
    "an altered value": lambda data: data.replace(b'"net"', b'"met"'),
    "a lost field": lambda data: data.replace(b'"sha256"', b'"sha255"'),
    "too deep": lambda _: b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_logged_ignored_and_rewritten(
    damage: Callable[[bytes], bytes],
    info: ModelInfo,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep(info, folder)
    entry = entry_of(folder)
    entry.write_bytes(damage(entry.read_bytes()))

    with caplog.at_level(logging.WARNING, "hwrt"):
        assert recall(info.path, folder) is None
    keep(info, folder)

    assert [("hwrt", "WARNING")] == [(r.name, r.levelname) for r in caplog.records]
    assert str(entry) in caplog.text
    assert info == recall(info.path, folder)


def test_an_entry_about_another_file_is_logged_and_ignored(
    info: ModelInfo, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(info, folder)
    entry = entry_of(folder)
    other = replace(info, path=info.external_files[0])
    keep(other, folder)
    (foreign,) = set(folder.iterdir()) - {entry}
    foreign.replace(entry)

    assert recall(info.path, folder) is None
    assert "it is about" in caplog.text


def test_a_folder_that_takes_no_file_is_logged(
    info: ModelInfo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")

    keep(info, tmp_path / "file")

    assert "can not remember" in caplog.text


def test_a_folder_that_can_not_be_read_is_logged(
    info: ModelInfo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")

    assert recall(info.path, tmp_path / "file") is None
    assert "ignoring what is remembered" in caplog.text


def test_remembering_leaves_one_file_per_model(info: ModelInfo, folder: Path) -> None:
    keep(info, folder)
    keep(info, folder)

    assert 1 == len(list(folder.iterdir()))


def test_onnx_types_keep_the_dtype_that_onnx_gives(folder: Path) -> None:
    for code in set(onnx.TensorProto.DataType.values()) - {0}:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(code)
        info = replace(FULL, inputs=(TensorSpec("x", dtype, (1,)),))

        assert dtype == from_json(json.loads(json.dumps(to_json(info)))).inputs[0].dtype


@pytest.mark.parametrize("lost", ["files", "read_at_ns", "info"])
def test_an_entry_that_lacks_a_part_is_ignored_though_its_digest_fits(
    lost: str, info: ModelInfo, folder: Path
) -> None:
    keep(info, folder)
    entry = json.loads(entry_of(folder).read_bytes())["entry"]
    del entry[lost]
    entry_of(folder).write_bytes(_seal(entry))

    assert recall(info.path, folder) is None


@pytest.mark.parametrize("signatures", [[], None, {"serving_default": None}])
def test_signatures_of_another_shape_are_ignored_though_the_digest_fits(
    signatures: object, info: ModelInfo, folder: Path
) -> None:
    keep(info, folder)
    entry = json.loads(entry_of(folder).read_bytes())["entry"]
    entry["info"]["signatures"] = signatures
    entry_of(folder).write_bytes(_seal(entry))

    assert recall(info.path, folder) is None


def test_an_infinite_time_is_ignored_though_the_digest_fits(info: ModelInfo, folder: Path) -> None:
    keep(info, folder)
    entry = json.loads(entry_of(folder).read_bytes())["entry"]
    entry_of(folder).write_bytes(_seal({**entry, "read_at_ns": float("inf")}))

    assert recall(info.path, folder) is None
