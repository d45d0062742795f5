from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.spec import Device, Options, Placement, Range, TensorSpec

F4 = np.dtype("f4")
Shape = tuple["int | None", ...]


def spec(shape: Shape | None, names: tuple[str | None, ...] | None = None) -> TensorSpec:
    return TensorSpec("x", F4, shape, names)


# -- TensorSpec -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "fixed"), [((), True), ((2, 0), True), ((None, 2), False), (None, False)]
)
def test_spec_is_fixed_when_every_size_is_known(shape: Shape | None, fixed: bool) -> None:
    assert spec(shape).is_fixed is fixed


@pytest.mark.parametrize(
    ("own", "shape", "fits"),
    [
        ((), (), True),
        ((), (1,), False),
        ((2, 3), (2, 3), True),
        ((2, 3), (3, 2), False),
        ((2, 3), (2, 3, 1), False),
        ((None, 3), (7, 3), True),
        ((None, 3), (0, 3), True),
        ((None, 3), (7, 4), False),
        (None, (), True),
        (None, (1, 2, 3), True),
    ],
)
def test_spec_accepts_shapes_that_fit(
    own: Shape | None, shape: tuple[int, ...], fits: bool
) -> None:
    assert spec(own).accepts(shape) is fits


@pytest.mark.parametrize(
    ("own", "shape", "bounded"),
    [
        ((None, 3), (2, 3), (2, 3)),
        ((None, 3), (0, 3), (0, 3)),
        ((None, 3), (Range(1, 2, 4), 3), (None, 3)),
        ((None, None), (Range(1, 1, 1), 5), (None, 5)),
        (None, (2, Range(1, 2, 3)), (2, None)),
        ((), (), ()),
    ],
)
def test_bounded_spec_has_the_sizes_that_are_given(
    own: Shape | None, shape: Any, bounded: Shape
) -> None:
    assert spec(own).bounded(shape) == spec(bounded)


@pytest.mark.parametrize(
    "shape",
    [
        (2,),
        (2, 3, 1),
        (2, 4),
        (-1, 3),
        (2, Range(3, 3, 3)),
        (Range(2, 1, 4), 3),
        (Range(-1, 1, 4), 3),
    ],
    ids=str,
)
def test_bounds_that_do_not_fit_are_an_input_error(shape: Any) -> None:
    with pytest.raises(InputError, match=r"'x' can not have the shape .*float32\[N, 3\]"):
        spec((None, 3), ("N", None)).bounded(shape)


@pytest.mark.parametrize(
    ("shape", "names", "text"),
    [
        ((1, 3), None, "x: float32[1, 3]"),
        ((), None, "x: float32[]"),
        ((None, 3), None, "x: float32[?, 3]"),
        ((None, None), ("N", None), "x: float32[N, ?]"),
        ((4, None), ("N", "W"), "x: float32[4, W]"),
        (None, None, "x: float32[...]"),
    ],
)
def test_spec_reads_as_name_dtype_and_shape(
    shape: Shape | None, names: tuple[str | None, ...] | None, text: str
) -> None:
    assert str(spec(shape, names)) == text


def test_names_of_dimensions_do_not_make_specs_differ() -> None:
    assert spec((None,), ("N",)) == spec((None,), ("batch",))


def test_spec_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec((1,)).name = "y"  # type: ignore[misc]


# -- Device ---------------------------------------------------------------------------------------


def test_device_is_named_by_kind_and_index() -> None:
    assert str(Device("cuda", 1)) == Device("cuda", 1).id == "cuda:1"


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ("cuda:1", True),
        ("cuda", True),
        ("cuda:0", False),
        ("cud", False),
        ("cpu", False),
        ("", False),
    ],
)
def test_device_matches_its_id_and_its_kind(wanted: str, matches: bool) -> None:
    assert Device("cuda", 1).matches(wanted) is matches


def test_devices_of_other_identity_differ() -> None:
    assert Device("cuda", identity="GPU-1") != Device("cuda", identity="GPU-2")


# -- Options --------------------------------------------------------------------------------------


def test_options_are_a_mapping_in_the_order_of_their_names() -> None:
    options = Options({"threads": 2}, precision="f32", a=1.5)

    assert list(options.items()) == [("a", 1.5), ("precision", "f32"), ("threads", 2)]
    assert options["threads"] == 2
    assert len(options) == 3


def test_named_options_replace_those_of_the_mapping() -> None:
    assert Options(Options(threads=1, a=True), threads=4) == {"threads": 4, "a": True}


def test_options_are_equal_and_hash_alike_in_any_order() -> None:
    first, second = Options(a=1, b="x"), Options(b="x", a=1)

    assert first == second
    assert hash(first) == hash(second)
    assert first != Options(a=1)


def test_options_tell_the_words_of_hwrt() -> None:
    options = Options(precision="bf16", threads=3, streams=2)

    assert (options.precision, options.threads, options.streams) == ("bf16", 3, 2)


def test_words_of_hwrt_are_none_when_not_given() -> None:
    options = Options()

    assert (options.precision, options.threads, options.streams) == (None, None, None)


def test_options_read_as_a_line() -> None:
    options = Options(threads=2, precision="f32")

    assert str(options) == "precision=f32 threads=2"
    assert repr(options) == "Options(precision='f32', threads=2)"
    assert eval(repr(options)) == options


def test_options_survive_a_pickle() -> None:
    options = Options(threads=2, precision="f32")

    assert pickle.loads(pickle.dumps(options)) == options


def test_options_can_not_be_changed() -> None:
    with pytest.raises(TypeError):
        Options(a=1)["a"] = 2  # type: ignore[index]


@pytest.mark.parametrize("value", [None, [1], {"b": 1}, b"x", np.int64(3), np.zeros(2)], ids=repr)
def test_value_that_is_no_plain_one_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="option 'a' has the value"):
        Options(a=value)


def test_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="option 1 "):
        Options({1: 1})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", ["threads", "streams"])
@pytest.mark.parametrize("value", [0, -1, True, 1.0, "2"])
def test_counts_are_whole_numbers_from_1(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"option '{name}' is {value!r}"):
        Options({name: value})


def test_precision_is_a_name() -> None:
    with pytest.raises(InputError, match="option 'precision' is 32"):
        Options(precision=32)


# -- Placement ------------------------------------------------------------------------------------


def test_placement_reads_as_devices_with_counts() -> None:
    placement = Placement({"cuda:0": 12, "cpu:0": None})

    assert placement.devices == ("cuda:0", "cpu:0")
    assert str(placement) == "cuda:0 (12 operators), cpu:0"
