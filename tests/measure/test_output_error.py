import json
import math
from pathlib import Path

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.measure.output_error import (
    F32,
    INTEGER,
    QUANTIZED,
    OutputError,
    Tolerance,
    compare,
    judges_nothing,
    tolerance_of,
    within,
    worst,
)
from hwrt.spec import ModelInfo, Quantization, TensorSpec


def error_of(output, reference):
    return compare({"y": output}, {"y": reference})["y"]


def f32(*values):
    return np.array(values, np.float32)


def test_equal_floats_have_no_error():
    assert error_of(f32(1, -2, 3), f32(1, -2, 3)) == OutputError(0.0, 0.0)


def test_relative_l2_is_the_norm_of_the_difference_by_the_norm_of_the_reference():
    error = error_of(f32(3, 4.5), f32(3, 4))

    assert error.relative_l2 == pytest.approx(0.1)
    assert error.max_abs == 0.5
    assert error.agreement is None


def test_sums_are_made_in_float64():
    reference = np.full(200_000, 0.1, np.float32)
    output = reference * np.float32(1.001)

    error = error_of(output, reference)

    assert error.relative_l2 == pytest.approx(float(output[0]) / float(reference[0]) - 1, rel=1e-9)


def test_half_precision_does_not_overflow():
    reference = np.full(1000, 60_000, np.float16)

    assert error_of(reference, reference) == OutputError(0.0, 0.0)


def test_huge_and_tiny_numbers_do_not_overflow():
    huge, tiny = np.array([3e300, 4e300]), np.array([3e-300, 4e-300])

    assert error_of(huge * 1.5, huge).relative_l2 == pytest.approx(0.5)
    assert error_of(tiny * 1.5, tiny).relative_l2 == pytest.approx(0.5)


def test_against_a_reference_of_zeros_the_error_is_absolute():
    error = error_of(f32(0, 3e-5, 0, -4e-5), f32(0, 0, 0, 0))

    assert error.relative_l2 == pytest.approx(2.5e-5, rel=1e-6)


def test_zeros_equal_zeros():
    assert error_of(f32(0, 0), f32(0, -0.0)) == OutputError(0.0, 0.0)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_an_odd_value_that_the_reference_has_too_is_no_error(odd):
    error = error_of(f32(1, odd, 2), f32(1, odd, 2))

    assert error == OutputError(0.0, 0.0)


@pytest.mark.parametrize(
    ("output", "reference"),
    [
        ((1, np.nan), (1, 2)),
        ((1, np.inf), (1, 2)),
        ((1, 2), (1, np.nan)),
        ((1, 2), (1, np.inf)),
        ((1, -np.inf), (1, np.inf)),
        ((1, np.nan), (1, np.inf)),
        ((np.nan, 1), (1, np.nan)),
    ],
)
def test_an_odd_value_in_one_output_alone_is_an_infinite_error(output, reference):
    assert error_of(f32(*output), f32(*reference)) == OutputError(math.inf, math.inf)


def test_complex_numbers_are_compared_by_distance():
    error = error_of(np.array([3 + 4.5j]), np.array([3 + 4j]))

    assert error.relative_l2 == pytest.approx(0.1)
    assert error.max_abs == 0.5


def test_integers_have_distance_and_agreement():
    output, reference = np.array([10, 20, 30, 45], np.uint8), np.array([10, 20, 30, 40], np.uint8)

    error = error_of(output, reference)

    assert error.agreement == 0.75
    assert error.max_abs == 5.0
    assert error.relative_l2 == pytest.approx(5 / np.sqrt(3000))


def test_unsigned_integers_do_not_wrap_around():
    assert error_of(np.array([0], np.uint8), np.array([255], np.uint8)).max_abs == 255.0


def test_booleans_have_agreement_alone():
    error = error_of(np.array([True, False, True]), np.array([True, True, True]))

    assert error == OutputError(agreement=pytest.approx(2 / 3))


def test_strings_have_agreement_alone_whatever_their_width():
    output, reference = np.array(["cat", "dog"]), np.array(["cat", "horse"], object)

    assert error_of(output, reference) == OutputError(agreement=0.5)


def test_numbers_of_ml_dtypes_are_compared_as_numbers():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    reference = np.array([1.0, 2.0, 4.0], ml_dtypes.bfloat16)

    assert error_of(reference, reference) == OutputError(0.0, 0.0)
    assert error_of(reference + reference, reference).relative_l2 == 1.0


def test_outputs_without_elements_are_equal():
    empty = np.zeros((0, 4), np.float32)

    assert error_of(empty, empty) == OutputError(0.0, 0.0)
    assert error_of(empty.astype(np.int64), empty.astype(np.int64)).agreement == 1.0


def test_another_shape_can_not_be_compared():
    error = error_of(np.zeros((1, 4), np.float32), np.zeros(4, np.float32))

    assert error.relative_l2 == math.inf
    assert error.difference == "shape (1, 4) where the reference has (4,)"


def test_another_dtype_is_told_beside_the_error():
    error = error_of(np.array([1.0, 2.0], np.float16), f32(1, 2))

    assert error.relative_l2 == 0.0
    assert error.difference == "dtype float16 where the reference has float32"


def test_strings_in_place_of_numbers_agree_nowhere():
    error = error_of(np.array(["1"]), f32(1))

    assert error.agreement == 0.0
    assert error.difference is not None


def test_a_missing_output_is_told():
    error = compare({}, {"y": f32(1)})["y"]

    assert error.difference == "the output is missing"


def test_an_output_that_the_reference_lacks_is_told():
    error = compare({"z": f32(1)}, {})["z"]

    assert error.difference == "the reference has no such output"


def test_the_rounding_of_an_f32_engine_is_within_the_f32_tolerance():
    reference = np.random.default_rng(5).normal(size=1000).astype(np.float32)

    errors = compare({"y": reference * np.float32(1 + 3e-5)}, {"y": reference})

    assert within(errors) is None


def test_the_rounding_of_a_bf16_engine_is_not_within_the_f32_tolerance():
    reference = np.random.default_rng(5).normal(size=1000).astype(np.float32)
    bf16 = (reference.view(np.uint32) & 0xFFFF0000).view(np.float32)

    reason = within(compare({"y": bf16}, {"y": reference}))

    assert reason.startswith("output 'y': relative l2 error 0.00")
    assert reason.endswith("exceeds 0.0001")


def test_nan_is_not_within_any_tolerance():
    errors = compare({"y": f32(1, np.nan)}, {"y": f32(1, 2)})

    assert within(errors, Tolerance(relative_l2=1e9, agreement=0.0)) is not None


def test_scales_that_do_not_fit_the_output_are_told():
    q = np.ones((2, 3), np.int8)

    error = compare({"y": q}, {"y": q}, quantized((0.5, 8.0), (0, 0), 1))["y"]

    assert error.difference == "shape (2, 3), which its scales do not fit"


def test_a_single_class_id_has_to_agree():
    errors = compare({"id": np.array([7])}, {"id": np.array([8])})

    assert within(errors) == "output 'id': 0.0000% of the elements agree, 99.9000% must"


def test_one_pixel_of_a_class_map_may_flip():
    reference = np.zeros((100, 100), np.int64)
    output = reference.copy()
    output[3, 4] = 1

    assert within(compare({"map": output}, {"map": reference})) is None


def test_another_dtype_is_not_within():
    errors = compare({"y": np.array([1], np.int32)}, {"y": np.array([1], np.int64)})

    assert within(errors) == "output 'y': dtype int32 where the reference has int64"


def test_every_output_that_is_wrong_is_told():
    errors = compare({"a": f32(1), "b": f32(1), "c": f32(2)}, {n: f32(2) for n in "abc"})

    reason = within(errors)

    assert "'a'" in reason
    assert "'b'" in reason
    assert "'c'" not in reason


def test_the_worst_over_samples_keeps_each_figures_extreme():
    samples = [
        {"y": OutputError(0.1, 5.0, slice_l2=0.2), "id": OutputError(agreement=1.0)},
        {"y": OutputError(0.3, 2.0), "id": OutputError(agreement=0.5)},
        {
            "y": OutputError(0.2, 1.0, difference="dtype", slice_l2=0.1),
            "id": OutputError(agreement=0.9),
        },
    ]

    assert worst(samples) == {
        "y": OutputError(0.3, 5.0, difference="dtype", slice_l2=0.2),
        "id": OutputError(agreement=0.5),
    }


def test_the_f32_tolerance_is_one_in_ten_thousand():
    assert F32.relative_l2 == 1e-4


@pytest.mark.parametrize(
    "error",
    [
        OutputError(1e-5, 0.25),
        OutputError(1e-5, 0.25, slice_l2=0.5),
        OutputError(math.inf, math.inf),
        OutputError(0.1, 3.0, 0.75),
        OutputError(math.inf, math.inf, 0.0, "the output is missing"),
        OutputError(agreement=1.0),
    ],
)
def test_an_error_survives_strict_json(error):
    text = json.dumps(error.to_json(), allow_nan=False)

    assert OutputError.from_json(json.loads(text)) == error


def test_an_infinite_error_is_null_with_a_reason_in_json():
    document = OutputError(math.inf, math.inf).to_json()

    assert document == {
        "relative_l2": None,
        "relative_l2_reason": "infinite",
        "max_abs": None,
        "max_abs_reason": "infinite",
    }


def test_another_document_is_refused():
    with pytest.raises(InputError, match="'colour'"):
        OutputError.from_json({"colour": "red"})


def quantized(scale, zero_point, axis=None):
    quantization = Quantization(scale, zero_point, axis)
    return [TensorSpec("y", np.dtype(np.int8), (2, 2), quantization=quantization)]


def test_integers_that_stand_for_numbers_are_compared_as_these():
    reference = np.array([[3, 4], [-128, -128]], np.int8)
    output = reference + np.array([[1, 0], [0, 0]], np.int8)

    error = compare({"y": output}, {"y": reference}, quantized((0.5,), (-128,)))["y"]

    assert error.relative_l2 == pytest.approx(1 / np.hypot(131, 132))
    assert error.max_abs == 0.5
    assert error.agreement is None


@pytest.mark.parametrize(("axis", "scale"), [(0, (0.5, 8.0)), (1, (0.5, 8.0, 0.5))])
def test_each_channel_has_its_own_scale(axis, scale):
    reference = np.array([[1, 1, 1], [1, 1, 1]], np.int8)
    output = np.array([[1, 1, 1], [1, 2, 1]], np.int8)
    specs = quantized(scale, (0,) * len(scale), axis)

    error = compare({"y": output}, {"y": reference}, specs)["y"]

    assert error.max_abs == 8.0


def test_the_dtype_of_a_quantized_output_must_be_the_references():
    error = compare(
        {"y": np.zeros((2, 2), np.uint8)}, {"y": np.zeros((2, 2), np.int8)}, quantized((1.0,), (0,))
    )["y"]

    assert "uint8" in within({"y": error}, INTEGER)


def test_a_wrong_quantized_model_is_not_within_the_tolerance_of_a_right_one():
    reference = {"y": np.array([[100, 20], [30, 40]], np.int8)}
    near = {"y": reference["y"] + np.int8(2)}
    wrong = {"y": np.array([[20, 100], [30, 40]], np.int8)}
    specs = quantized((0.01,), (0,))

    assert within(compare(near, reference, specs), INTEGER) is None
    assert "exceeds 0.1" in within(compare(wrong, reference, specs), INTEGER)


PLAIN = TensorSpec("x", np.dtype(np.float32), (2,))
SCALED = TensorSpec("x", np.dtype(np.int8), (2,), quantization=Quantization((0.1,), (0,)))


@pytest.mark.parametrize(
    ("quantized_file", "borders", "tolerance"),
    [
        (False, (PLAIN, PLAIN), F32),
        (True, (PLAIN, PLAIN), QUANTIZED),
        (True, (SCALED, PLAIN), INTEGER),
        (True, (PLAIN, SCALED), INTEGER),
    ],
    ids=["floats", "quantised within", "integers in", "integers out"],
)
def test_only_a_model_of_integers_throughout_has_the_widest_tolerance(
    quantized_file, borders, tolerance
):
    info = ModelInfo(
        path=Path("m"),
        format="f",
        sha256="",
        size_bytes=1,
        inputs=borders[:1],
        outputs=borders[1:],
        quantized=quantized_file,
    )

    assert tolerance_of(info) == tolerance


@pytest.mark.parametrize(
    ("outputs", "nothing"),
    [
        ([f32()], True),
        ([f32(np.nan, -np.inf), np.zeros((0, 3), np.int64)], True),
        ([f32(np.nan, 0.0)], False),
        ([f32(), np.array([0])], False),
        ([np.array(["cat"])], False),
        ([], True),
    ],
    ids=["empty", "nothing finite", "a zero", "a count", "text", "no output"],
)
def test_outputs_without_a_finite_number_judge_nothing(outputs, nothing):
    assert judges_nothing({str(i): output for i, output in enumerate(outputs)}) is nothing
