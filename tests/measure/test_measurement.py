import json
import math

import pytest

from hwrt.errors import InputError
from hwrt.measure.measurement import Candidate, Cold, Measurement, precision_told
from hwrt.measure.output_error import OutputError
from hwrt.measure.warm_up import WarmUp
from hwrt.spec import Options, Placement

CANDIDATE = Candidate("acme", "npu:0", Options(precision="f16", threads=2, turbo=True), "int8")

OK = Measurement(
    candidate=CANDIDATE,
    status="ok",
    output_error={"scores": OutputError(3e-6, 1.5e-5), "ids": OutputError(agreement=1.0)},
    precision="f16",
    placement=Placement({"npu:0": 61, "cpu:0": None}),
    samples_s=(0.1, 1 / 3, 2.5e-7, 0.30000000000000004),
    cold=Cold(import_s=0.03, load_s=0.2, compile_s=1.5, cache_hit=False, first_inference_s=0.02),
    warm_up=WarmUp(True, 12, 0.61, (0.05, 0.051, 0.05)),
    peak_rss_bytes=123_456_789,
)
FAILED = Measurement(CANDIDATE, "failed", "the driver reset the device")
REJECTED = Measurement(
    CANDIDATE,
    "rejected",
    "output 'y': relative l2 error inf exceeds 0.0001",
    output_error={"y": OutputError(math.inf, math.inf)},
)


@pytest.mark.parametrize("measurement", [OK, FAILED, REJECTED], ids=lambda one: one.status)
def test_a_measurement_survives_strict_json(measurement):
    text = json.dumps(measurement.to_json(), allow_nan=False)

    assert Measurement.from_json(json.loads(text)) == measurement


def test_a_measurement_is_a_flat_document_beside_its_candidate():
    document = OK.to_json()

    assert document["backend"] == "acme"
    assert document["device"] == "npu:0"
    assert document["variant"] == "int8"
    assert document["options"] == {"precision": "f16", "threads": 2, "turbo": True}
    assert document["placement"] == {"npu:0": 61, "cpu:0": None}


def test_what_a_report_keeps_beside_a_measurement_is_left_alone():
    document = {**OK.to_json(), "verdict": {"valid": True, "reasons": []}}

    assert Measurement.from_json(document) == OK


def test_an_empty_placement_survives_json():
    measurement = Measurement(CANDIDATE, "ok", placement=Placement({}))

    assert Measurement.from_json(measurement.to_json()) == measurement


def test_a_candidate_survives_json():
    assert Candidate.from_json(json.loads(json.dumps(CANDIDATE.to_json()))) == CANDIDATE


def test_equal_candidates_are_one_key():
    same = Candidate("acme", "npu:0", Options(turbo=True, threads=2, precision="f16"), "int8")

    assert {CANDIDATE: 1}[same] == 1


def test_a_candidate_is_said_in_one_line():
    assert str(CANDIDATE) == "acme npu:0 precision=f16 threads=2 turbo=True int8"
    assert str(Candidate("acme", "cpu:0")) == "acme cpu:0"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {**OK.to_json(), "placement": 3},
        {**OK.to_json(), "cold": {"colour": 1}},
        {**OK.to_json(), "warm_up": {"steady": True}},
        {**OK.to_json(), "output_error": {"y": {"colour": 1}}},
        {**OK.to_json(), "status": "fine"},
    ],
)
def test_another_document_is_refused(document):
    with pytest.raises(InputError, match="not a measurement"):
        Measurement.from_json(document)


def test_another_candidate_document_is_refused():
    with pytest.raises(InputError, match="not a candidate"):
        Candidate.from_json({"backend": "acme"})


def test_a_failure_without_reason_is_an_error():
    with pytest.raises(InputError, match="what is not ok has a reason"):
        Measurement(CANDIDATE, "failed")


def test_a_success_with_a_reason_is_an_error():
    with pytest.raises(InputError, match="what is ok has none"):
        Measurement(CANDIDATE, "ok", "slow")


def test_a_wrong_candidate_has_no_latency():
    with pytest.raises(InputError, match="only what answers rightly has a latency"):
        Measurement(CANDIDATE, "rejected", "wrong", samples_s=(0.1,))


@pytest.mark.parametrize(
    ("precision", "quantized", "told"),
    [
        ("int8", True, "int8 (as given)"),
        ("int8", False, "int8"),
        ("f32", True, "f32"),
        ("bf16", False, "bf16"),
    ],
)
def test_integers_that_the_file_asks_for_are_called_as_given(
    precision: str, quantized: bool, told: str
) -> None:
    assert precision_told(precision, quantized=quantized) == told
