"""TFLite files that contradict themselves: refused with what and where, never anything else."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwrt.errors import HwrtError, ModelError
from hwrt.model import tflite_buffers
from hwrt.model.file import external_file
from hwrt.model.tflite_reader import read
from tests.model.flatbuffer_bytes import Number, Offset, Repeated, Vector, pack
from tests.model.tflite_models import (
    ADD,
    CUSTOM,
    INT8,
    STRING,
    code,
    graph,
    model,
    operator,
    packed,
    scale,
    signature,
    tensor,
)

Save = Callable[..., Path]
BYTES = {0: Vector("B", [0] * 64)}
Y = tensor("y")


def integers(**parameters: Any) -> dict[int, Any]:
    """A model's only subgraph, whose input x has these quantisation parameters."""
    return graph([tensor("x", kind=INT8, slot_4=scale(**parameters)), Y])


def with_constant(shape: tuple[int, ...], **more: Any) -> dict[int, Any]:
    return graph([tensor("x"), Y, tensor("w", shape, **{"buffer": 1, **more})])


def with_signature(**changes: Any) -> bytes:
    sides = {"inputs": {"i": 0}, "outputs": {"o": 1}} | changes
    return packed(slot_7=[signature("s", **sides)])


CONTRADICTIONS = {
    "no subgraphs": (pack({**model(), 2: []}), "it has no subgraphs"),
    "no outputs": (packed(graph([tensor("x"), Y], [0], [])), "it has no outputs"),
    "input beyond the tensors": (
        packed(graph([tensor("x"), Y], [2])),
        "has 2 tensors, and its list of inputs asks for the numbers 2",
    ),
    "input of minus one": (
        packed(graph([tensor("x"), Y], [-1])),
        "list of inputs asks for the numbers -1",
    ),
    "output beyond the tensors": (
        packed(graph([tensor("x"), Y], [0], [7])),
        "list of outputs asks for the numbers 7",
    ),
    "one tensor as two inputs": (packed(graph([tensor("x"), Y], [0, 0])), "two of its inputs"),
    "operand beyond the tensors": (
        packed(graph([tensor("x"), Y], operators=[operator(0, [9], [1])])),
        "ABS asks for the numbers 9",
    ),
    "operand of minus two": (
        packed(graph([tensor("x"), Y], operators=[operator(0, [0, -2], [1])])),
        "ABS asks for the numbers 0, -2",
    ),
    "result beyond the tensors": (
        packed(graph([tensor("x"), Y], operators=[operator(0, [0], [2])])),
        "ABS asks for the numbers 2",
    ),
    "unknown kind of operator": (
        packed(graph([tensor("x"), Y], operators=[operator(5, [0], [1])])),
        "it has 1 kinds of operators, and uses 5",
    ),
    "negative operator": (packed(codes=[code(-1)]), "impossible number -1"),
    "custom without a code": (packed(codes=[CUSTOM]), "without a custom code"),
    "buffer beyond the buffers": (packed(with_constant((4,))), "is in buffer 1 of 1"),
    "too few bytes": (
        packed(with_constant((17,)), buffers=[{}, BYTES]),
        "tensor 2 of subgraph 0 has 64 bytes, too few for its 17 elements",
    ),
    "constant with an open dimension": (
        packed(with_constant((-1,)), buffers=[{}, BYTES]),
        "the impossible dimension -1",
    ),
    "data beyond the file": (
        packed(with_constant((4,)), buffers=[{}, {1: Number("Q", 1 << 62), 2: Number("Q", 16)}]),
        "buffer 1 ends at byte",
    ),
    "more data than the file": (
        packed(with_constant((4,)), buffers=[{}, {1: Number("Q", 8), 2: Number("Q", 1 << 63)}]),
        "buffer 1 ends at byte",
    ),
    "unknown external buffer": (
        packed(with_constant((4,), slot_10=3)),
        "external buffer 3, which there is not",
    ),
    "unknown external group": (
        packed(with_constant((4,), slot_10=3), slot_9=[{0: 3, 1: 1}]),
        "is in group 1 of 0",
    ),
    "negative dimension": (packed(graph([tensor("x", (4, -2)), Y])), "impossible dimension -2"),
    "more elements than can be counted": (
        packed(graph([tensor("x", (1 << 30,) * 3), Y])),
        r"input 'x' has more than 2\*\*63 elements",
    ),
    "more dimensions than an array has": (
        packed(graph([tensor("x", (1,) * 65), Y])),
        "has 65 dimensions",
    ),
    "shape signature of another rank": (
        packed(graph([tensor("x", (1, 4), slot_7=Vector("i", [-1])), Y])),
        "the shape signature",
    ),
    "scale of NaN": (packed(integers(scales=[math.nan])), "a scale that is"),
    "scale of infinity": (packed(integers(scales=[math.inf])), "a scale that is"),
    "negative scale": (packed(integers(scales=[-0.5])), "a scale that is"),
    "more zero points than scales": (
        packed(integers(scales=[0.5], zero_points=[0, 0])),
        "1 scales and 2 zero points",
    ),
    "zero point out of range": (
        packed(integers(zero_points=[128])),
        "a zero point outside of -128 to 127",
    ),
    "axis out of range": (
        packed(integers(scales=[0.5] * 4, axis=2)),
        r"4 scales along axis 2 of the shape \(1, 4\)",
    ),
    "negative axis": (packed(integers(scales=[0.5] * 4, axis=-1)), "4 scales along axis -1"),
    "scales that do not fit the axis": (
        packed(integers(scales=[0.5] * 3, axis=1)),
        "3 scales along axis 1",
    ),
    "signature of an unknown subgraph": (with_signature(graph=1), "is of subgraph 1 of 1"),
    "signature of no input": (with_signature(inputs={"i": 1}), "'s', input 'i': tensor 1 is none"),
    "signature of no output": (
        with_signature(outputs={"o": 0}),
        "'s', output 'o': tensor 0 is none",
    ),
    "signature of no tensor": (with_signature(inputs={"i": -1}), "tensor 4294967295 is none"),
    "two names for one input": (with_signature(inputs={"i": 0, "j": 0}), "two names for one"),
    "name that is empty": (with_signature(inputs={"": 0}), "'s', input: one has no name"),
    "two signatures of one key": (
        packed(slot_7=[signature("s", {}, {}), signature("s", {}, {})]),
        "two of the key 's'",
    ),
    "signature without a key": (packed(slot_7=[{4: 0}]), "a signature without a key"),
    "two outputs of one name": (
        packed(slot_7=[{0: [], 1: [{0: "o", 1: 1}, {0: "o", 1: 1}], 2: "s"}]),
        "two are named 'o'",
    ),
    "name that is not UTF-8": (packed(graph([tensor("x", slot_3=b"\xff"), Y])), "is not UTF-8"),
    "metadata beyond the buffers": (packed(slot_6=[{0: "m", 1: 9}]), "'m' is in buffer 9 of 1"),
    "subgraphs beyond the end": (pack({**model(), 2: Offset(1 << 30)}), "should lie at the bytes"),
    "description beyond the end": (pack({**model(), 3: Offset(1 << 31)}), "should lie at"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_contradiction_is_a_model_error_that_says_which(save: Save, case: str) -> None:
    data, reason = CONTRADICTIONS[case]
    path = save(data, "m.tflite")

    with pytest.raises(ModelError, match=reason) as caught:
        read(path)

    assert str(path) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret", "link", "", "absent", "fifo/.."])
def test_weights_outside_of_the_models_folder_are_refused(
    save: Save, tmp_path: Path, location: str
) -> None:
    outside = tmp_path / "secret"
    outside.write_bytes(bytes(64))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    path = folder / "m.tflite"
    stored = {0: 3, 3: Number("Q", 16)}
    whole = with_constant((4,), slot_10=3)
    path.write_bytes(packed(whole, slot_8=[{0: location}], slot_9=[stored]))

    with pytest.raises(ModelError):
        read(path)


def test_external_weights_beyond_their_file_are_refused(save: Save) -> None:
    save(bytes(8), "weights.bin")
    stored = {0: 3, 2: Number("Q", 1 << 63), 3: Number("Q", 1 << 63)}
    whole = with_constant((4,), slot_10=3)

    with pytest.raises(ModelError, match=r"weights\.bin, which has 8"):
        read(save(packed(whole, slot_8=[{0: "weights.bin"}], slot_9=[stored])))


def test_one_external_file_is_looked_at_once(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def counted(*args: Any, **named: Any) -> Path:
        seen.append(args)
        return external_file(*args, **named)

    monkeypatch.setattr(tflite_buffers, "external_file", counted)
    save(bytes(8), "weights.bin")
    stored = {0: 3, 3: Number("Q", 8)}
    whole = with_constant((2,), slot_10=3)
    read(save(packed(whole, slot_8=[{0: "weights.bin"}], slot_9=Repeated(stored, 100))))

    assert 1 == len(seen)


def test_thousands_of_names_of_external_files_are_given_up(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tflite_buffers, "MOST_LOCATIONS", 2)
    save(bytes(8), "weights.bin")
    groups = [{0: f"{'./' * i}weights.bin"} for i in range(3)]
    stored = [{0: i, 1: i, 3: Number("Q", 8)} for i in range(3)]

    with pytest.raises(ModelError, match="more than 2 external places"):
        read(save(packed(with_constant((2,), slot_10=1), slot_8=groups, slot_9=stored)))


LONG = Vector("i", [0] * 200_000)
MANY = 400_000
BLOW_UPS = {
    "one tensor without end": {**graph([]), 0: Repeated(tensor("t", (1,) * 60), MANY)},
    "one operator without end": {
        **graph([tensor("x"), Y]),
        3: Repeated(operator(0, [0] * 16, [1]), MANY),
    },
    "one long list of operands in each operator": {
        **graph([tensor("x"), Y]),
        3: Repeated({0: 0, 1: LONG}, MANY),
    },
    "one long list of scales in each tensor": {
        **graph([]),
        0: Repeated(tensor("t", kind=INT8, slot_4={2: Vector("f", [0.0] * 200_000)}), MANY),
    },
    "every tensor an output with a long name": {
        **graph([], [], [0] * 100_000, []),
        0: Repeated(tensor("t" * 100_000, kind=STRING), 1),
    },
}


@pytest.mark.parametrize("case", BLOW_UPS)
def test_a_small_file_that_would_grow_without_bound_is_given_up(save: Save, case: str) -> None:
    with pytest.raises(ModelError, match="has no end"):
        read(save(packed(BLOW_UPS[case])))


@pytest.mark.parametrize(
    "slot", [1, 2, 6, 7], ids=["operator codes", "subgraphs", "metadata", "signatures"]
)
def test_hundreds_of_thousands_of_anything_are_given_up_or_refused(save: Save, slot: int) -> None:
    item = {2: graph([tensor("x"), Y]), 7: {**signature("s", {}, {}), 2: "s"}}.get(slot, {})
    data = pack({**model(codes=[ADD]), slot: Repeated(item, MANY)})

    assert outcome(save(data)) in ("ModelError", "read")


def outcome(path: Path) -> str:
    try:
        read(path)
    except HwrtError as exc:
        return type(exc).__name__
    return "read"


def rich() -> bytes:
    """A model in which every kind of table that the reader visits occurs."""
    tensors = [
        tensor("x", kind=INT8, slot_4=scale([0.5] * 4, [0] * 4, 1)),
        tensor("y", (1, 4), slot_7=Vector("i", [-1, 4])),
        tensor("w", (4,), buffer=1),
    ]
    return packed(
        graph(tensors, operators=[operator(0, [0, 2], [1]), operator(1, [1, -1], [1])]),
        codes=[ADD, code(CUSTOM, "custom")],
        buffers=[{}, BYTES, {0: b"1.14.0\0"}],
        slot_6=[{0: "min_runtime_version", 1: 2}],
        slot_7=[signature("serving_default", {"i": 0}, {"o": 1})],
    )


def test_every_truncation_is_a_model_error(save: Save) -> None:
    data = rich()
    assert "read" == outcome(save(data))

    outcomes = {outcome(save(data[:length])) for length in range(0, len(data) - 8, 7)}

    assert {"ModelError"} == outcomes


@pytest.mark.slow
def test_every_damaged_byte_is_refused_or_harmless(save: Save) -> None:
    data = rich()
    outcomes = set()
    for at in range(len(data)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            outcomes.add(outcome(save(data[:at] + bytes([value]) + data[at + 1 :])))

    assert {"ModelError", "UnsupportedModel", "read"} == outcomes


def test_random_damage_is_refused_or_harmless(save: Save) -> None:
    data = rich()
    rng = random.Random(5)
    outcomes = set()
    for _ in range(500):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            damaged[rng.randrange(len(data))] = rng.choice(
                (0, 1, 4, 0x80, 0xFF, rng.randrange(256))
            )
        outcomes.add(outcome(save(bytes(damaged))))

    assert outcomes <= {"ModelError", "UnsupportedModel", "read"}


@pytest.mark.parametrize("name", ["deeplabv3_int8", "mobilenet_v2_int8", "yolov8n_int8"])
def test_a_real_model_that_is_cut_short_is_a_model_error(
    name: str, shared: Path, save: Save
) -> None:
    data = (shared / "models" / f"{name}.tflite").read_bytes()

    outcomes = {outcome(save(data[: len(data) * part // 20])) for part in range(1, 19)}

    assert {"ModelError"} == outcomes
