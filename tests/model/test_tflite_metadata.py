from __future__ import annotations

import ast
import io
import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwrt.model.onnx_reader import read as read_onnx
from hwrt.model.tflite_reader import read
from tests.model.flatbuffer_bytes import Number, Vector, pack
from tests.model.tflite_models import graph, packed, tensor

Save = Callable[..., Path]
LABELS, VALUES, VOCABULARY = 2, 3, 5


def with_entries(*entries: tuple[str, bytes]) -> bytes:
    """A model with these entries of metadata, each in a buffer of its own."""
    buffers = [{}, *({0: content} for _, content in entries)]
    named = [{0: name, 1: i} for i, (name, _) in enumerate(entries, 1)]
    return packed(buffers=buffers, slot_6=named)


def zipped(model: bytes, **files: str | bytes) -> bytes:
    """The model with an archive behind it; ``a_txt`` names the file a.txt."""
    data = io.BytesIO(model)
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            stem, _, suffix = name.rpartition("_")
            archive.writestr(f"{stem}.{suffix}", content)
    return data.getvalue()


def file(name: str, kind: int = LABELS) -> dict[int, Any]:
    return {0: name, 2: Number("b", kind)}


def normalization(mean: list[float], std: list[float], kind: int = 1) -> dict[int, Any]:
    return {0: Number("B", kind), 1: {0: Vector("f", mean), 1: Vector("f", std)}}


def described(**fields: Any) -> bytes:
    """TFLITE_METADATA; ``slot_0`` and so on are the fields of ModelMetadata."""
    return pack({int(name[5:]): value for name, value in fields.items()}, b"M001")


def with_tensors(inputs: list[Any], outputs: list[Any]) -> bytes:
    return with_entries(("TFLITE_METADATA", described(slot_3=[{2: inputs, 3: outputs}])))


def test_entries_that_are_text_are_read_without_the_zeros_that_fill_them_up(save: Save) -> None:
    info = read(
        save(with_entries(("min_runtime_version", b"1.14.0" + bytes(10)), ("note", b"a\nb")))
    )

    assert {"min_runtime_version": "1.14.0", "note": "a\nb"} == info.metadata


def test_the_first_of_several_entries_of_one_name_counts(save: Save) -> None:
    assert {"a": "1"} == read(save(with_entries(("a", b"1"), ("a", b"2")))).metadata


@pytest.mark.parametrize("content", [b"", b"\0\0", b"\xff\xfe", b"\x1b[2J", b"x" * 70_000])
def test_an_entry_that_is_binary_empty_or_long_is_left_out(save: Save, content: bytes) -> None:
    assert {} == read(save(with_entries(("a", content)))).metadata


def test_the_fields_of_the_metadata_schema_are_read(save: Save) -> None:
    fields = {"name": "n", "description": "d", "version": "v1", "author": "a", "license": "l"}
    slots = dict(zip((0, 1, 2, 4, 5), fields.values(), strict=True))
    content = described(**{f"slot_{slot}": text for slot, text in slots.items()})

    info = read(save(with_entries(("TFLITE_METADATA", content))))

    assert fields == info.metadata
    assert "n" == info.name


def test_the_only_inputs_normalisation_is_read_as_levels(save: Save) -> None:
    units = [normalization([9.0], [9.0], kind=2), normalization([123.68, 116.5], [58.4, 57.0])]

    info = read(save(with_tensors([{4: units}], [])))

    assert {"mean": "[123.68, 116.5]", "std": "[58.4, 57.0]"} == info.metadata


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [{4: [normalization([1.0], [1.0])]}, {}],
        [{4: [normalization([], [])]}],
        [{4: [normalization([float("nan")], [1.0])]}],
        [{4: [{0: Number("B", 1)}]}],
    ],
    ids=["no input", "two inputs", "empty", "NaN", "no options"],
)
def test_no_or_an_unusable_normalisation_is_none(save: Save, inputs: list[Any]) -> None:
    assert {} == read(save(with_tensors(inputs, []))).metadata


def test_labels_in_the_archive_are_the_names_of_the_classes(save: Save) -> None:
    model = with_tensors([], [{}, {6: [file("vocab.txt", VOCABULARY), file("labels.txt")]}])

    info = read(save(zipped(model, labels_txt="\ufeffcat\r\nblack dog\n\nit's\n")))

    names = {0: "cat", 1: "black dog", 2: "", 3: "it's"}
    assert ("labels.txt", names) == (
        info.metadata["label_file"],
        ast.literal_eval(info.metadata["names"]),
    )


def test_labels_of_values_count_as_well(save: Save) -> None:
    model = with_tensors([], [{6: [file("labels.txt", VALUES)]}])

    assert "{0: 'cat'}" == read(save(zipped(model, labels_txt="cat"))).metadata["names"]


def test_a_label_file_that_is_absent_is_named_alone(save: Save) -> None:
    info = read(save(with_tensors([], [{6: [file("labels.txt")]}])))

    assert {"label_file": "labels.txt"} == info.metadata


def test_the_subgraph_that_is_run_is_the_one_described(save: Save) -> None:
    parts = [{3: [{6: [file("first.txt")]}]}, {3: [{6: [file("second.txt")]}]}]
    content = described(slot_3=parts)
    whole = graph([tensor("x"), tensor("y")])
    signature = {0: [{0: "i", 1: 0}], 1: [{0: "o", 1: 1}], 2: "s", 4: 1}
    entry = {0: "TFLITE_METADATA", 1: 1}

    model = packed(whole, whole, buffers=[{}, {0: content}], slot_6=[entry], slot_7=[signature])

    assert {"label_file": "second.txt"} == read(save(model)).metadata


def test_what_ultralytics_writes_arrives_as_in_its_onnx_files(save: Save) -> None:
    values = {
        "author": "Ultralytics",
        "stride": 32,
        "imgsz": [640, 640],
        "names": {0: "person", 1: "it's", 10: "10"},
        "args": {"half": False, "nms": None, "fraction": 1.0},
    }

    info = read(save(zipped(packed(), metadata_json=json.dumps(values))))

    assert {key: str(value) for key, value in values.items()} == info.metadata


def test_what_ultralytics_wrote_before_arrives_alike(save: Save) -> None:
    values = {"stride": 32, "names": {0: "person"}}

    info = read(save(zipped(packed(), temp_meta_txt=str(values))))

    assert {"stride": "32", "names": "{0: 'person'}"} == info.metadata


def test_the_exporters_words_take_precedence(save: Save) -> None:
    model = with_entries(("author", b"entry"), ("TFLITE_METADATA", described(slot_4="described")))

    described_only = read(save(model))
    exported = read(save(zipped(model, metadata_json='{"author": "Ultralytics"}'), "e.tflite"))

    assert "described" == described_only.metadata["author"]
    assert "Ultralytics" == exported.metadata["author"]


DEEP = "[" * 100_000
UNREADABLE = {
    "no JSON": {"metadata_json": "{"},
    "no mapping": {"metadata_json": "[1]"},
    "nested without end": {"metadata_json": DEEP},
    "no UTF-8": {"metadata_json": b"\xff"},
    "too large": {"metadata_json": " " * (1 << 20) + "{}"},
    "no literal": {"temp_meta_txt": "print(1)"},
    "a literal nested without end": {"temp_meta_txt": DEEP[:60_000]},
    "a literal of signs without end": {"temp_meta_txt": "-" * 60_000 + "1"},
    "a literal that is too long": {"temp_meta_txt": str({"a": "b" * (1 << 16)})},
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_the_archive_says_wrongly_is_left_out_with_a_warning(
    save: Save, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "hwrt"):
        info = read(save(zipped(packed(), **UNREADABLE[case])))

    assert {} == info.metadata
    assert "left out" in caplog.text
    assert all(len(record.getMessage()) < 300 for record in caplog.records)


def test_a_number_as_key_that_is_too_long_stays_text(save: Save) -> None:
    info = read(save(zipped(packed(), metadata_json=json.dumps({"names": {"1" * 5000: "x"}}))))

    assert {"1" * 5000: "x"} == ast.literal_eval(info.metadata["names"])


@pytest.mark.parametrize("value", [{1.5: "x"}, {None: "x"}, {(1, 2): "x"}, {b"1": "x"}])
def test_keys_that_are_neither_texts_nor_integers_stay_as_they_are(
    save: Save, value: dict[object, str]
) -> None:
    info = read(save(zipped(packed(), temp_meta_txt=str({"names": value}))))

    assert {"names": str(value)} == info.metadata


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\0\0\0M002" + bytes(20),
        described(slot_3=[])[:20],
        described(slot_0=b"\xff"),
    ],
    ids=["empty", "another identifier", "truncated", "no UTF-8"],
)
def test_damaged_metadata_is_left_out_with_a_warning(
    save: Save, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    entries = (("a", b"1"), ("TFLITE_METADATA", content))
    with caplog.at_level(logging.WARNING, "hwrt"):
        info = read(save(with_entries(*entries)))

    assert {"a": "1"} == info.metadata
    assert "left out" in caplog.text


def test_labels_that_are_no_text_are_left_out_with_a_warning(
    save: Save, caplog: pytest.LogCaptureFixture
) -> None:
    model = with_tensors([], [{6: [file("labels.txt")]}])

    with caplog.at_level(logging.WARNING, "hwrt"):
        info = read(save(zipped(model, labels_txt=b"\xff")))

    assert "names" not in info.metadata
    assert "is left out" in caplog.text


def test_an_encrypted_or_huge_file_in_the_archive_is_left_out(
    save: Save, caplog: pytest.LogCaptureFixture
) -> None:
    model = with_tensors([], [{6: [file("labels.txt")]}])

    with caplog.at_level(logging.WARNING, "hwrt"):
        info = read(save(zipped(model, labels_txt=bytes(8 << 20))))

    assert {"label_file": "labels.txt"} == info.metadata
    assert "has 8388608 bytes" in caplog.text


def test_ultralytics_real_file_says_what_its_onnx_file_says(shared: Path) -> None:
    models = shared / "models"
    onnx = read_onnx(models / "yolov8n.onnx").metadata

    tflite = read(models / "yolov8n_int8.tflite").metadata

    same = (
        "author",
        "batch",
        "channels",
        "description",
        "imgsz",
        "license",
        "names",
        "stride",
        "task",
    )
    assert {key: onnx[key] for key in same} == {key: tflite[key] for key in same}


def test_a_real_classifiers_labels_and_levels_are_read(shared: Path) -> None:
    metadata = read(shared / "models" / "mobilenet_v2_int8.tflite").metadata

    labels = (shared / "models" / "imagenet_labels.txt").read_text().splitlines()
    assert labels == list(ast.literal_eval(metadata["names"]).values())
    assert ("[127.5]", "[127.5]") == (metadata["mean"], metadata["std"])
    assert "ImageClassifier" == metadata["name"]
