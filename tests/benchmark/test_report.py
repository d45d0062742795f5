from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from hwrt.benchmark.report import (
    Report,
    Result,
    conclusion,
    count,
    error_text,
    milliseconds,
    size,
)
from hwrt.benchmark.table import table
from hwrt.measure.output_error import OutputError
from hwrt.measure.verdict import Verdict
from hwrt.spec import Options

Timed = Callable[..., Result]
ReportOf = Callable[..., Report]


def near(center_s: float, n: int = 100) -> list[float]:
    return [center_s * (1 + i / 1000) for i in range(n)]


def printed(report: Report, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(table(report))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_document_has_the_names_that_others_rely_on(
    report_of: ReportOf, timed: Timed, rejected: Result
) -> None:
    document = strict(report_of(timed("alpha", near(0.001)), rejected).dumps())

    assert document["schema"] == "hwrt.bench/1"
    assert {
        *("schema", "hwrt", "machine", "conditions", "model", "scenario", "preset", "results"),
        "winner",
    } <= set(document)
    assert {"name", "sha256"} <= set(document["model"])
    names = {
        *("backend", "device", "precision", "options", "variant", "status", "reason"),
        *("output_error", "latency_s", "throughput_per_s", "samples_s", "verdict"),
    }
    assert [names - set(result) for result in document["results"]] == [set(), set()]


def test_the_raw_samples_are_kept_in_order(report_of: ReportOf, timed: Timed) -> None:
    samples = [0.003, 0.001, 0.002]

    document = strict(report_of(timed("alpha", samples)).dumps())

    assert document["results"][0]["samples_s"] == samples
    assert document["results"][0]["throughput_per_s"] == pytest.approx(500.0)


def test_what_answered_wrongly_has_no_figures_but_a_reason_for_each(
    report_of: ReportOf, rejected: Result
) -> None:
    (result,) = strict(report_of(rejected).dumps())["results"]

    latency = result["latency_s"]
    assert latency.pop("n") == 0
    nulls = {name for name, value in latency.items() if value is None}
    assert {"p50", "p90", "p99", "mean"} <= nulls
    assert {latency[f"{name}_reason"] for name in nulls} == {"not measured: rejected"}
    assert result["throughput_per_s"] is None
    assert result["output_error"]["y"]["relative_l2_reason"] == "infinite"


def test_every_null_figure_of_a_measured_candidate_has_a_reason(
    report_of: ReportOf, timed: Timed
) -> None:
    (result,) = strict(report_of(timed("alpha", [0.001])).dumps())["results"]

    latency = result["latency_s"]
    nulls = [name for name, value in latency.items() if value is None]
    assert [name for name in nulls if not latency.get(f"{name}_reason")] == []
    assert latency["p90_reason"] == latency["p90_upper_reason"] == "needs >= 64 samples"


def test_measured_and_rejected_candidates_have_the_same_figures(
    report_of: ReportOf, timed: Timed, rejected: Result
) -> None:
    first, second = strict(report_of(timed("alpha", near(0.001, 700)), rejected).dumps())["results"]

    names = {name for name in second["latency_s"] if not name.endswith("_reason")}
    assert names == set(first["latency_s"])


def test_a_winner_whose_median_lies_apart_is_faster_by_the_ratio(
    report_of: ReportOf, timed: Timed
) -> None:
    report = report_of(timed("alpha", near(0.001)), timed("beta", near(0.0015)))

    assert conclusion(report) == "alpha is 1.50x faster than beta"


def test_medians_whose_intervals_overlap_do_not_differ(report_of: ReportOf, timed: Timed) -> None:
    report = report_of(timed("alpha", near(0.001)), timed("beta", near(0.001001)))

    assert conclusion(report) == "no significant difference between alpha and beta"


def test_too_few_samples_for_an_interval_tell_no_difference(
    report_of: ReportOf, timed: Timed
) -> None:
    report = report_of(timed("alpha", [0.001]), timed("beta", [0.5]))

    assert conclusion(report) == "no significant difference between alpha and beta"


def test_the_winner_has_the_least_median(report_of: ReportOf, timed: Timed) -> None:
    split = [0.001] * 30 + [0.003] * 70
    report = report_of(timed("alpha", split), timed("beta", near(0.002)))

    assert report.winner == 1


def test_candidates_of_one_backend_are_told_apart_by_precision(
    report_of: ReportOf, timed: Timed
) -> None:
    report = report_of(
        timed("alpha", near(0.001), precision="bf16"), timed("alpha", near(0.002), precision="f32")
    )

    assert conclusion(report) == "alpha bf16 is 2.00x faster than alpha f32"


def test_a_lone_right_candidate_is_said_to_be_alone(
    report_of: ReportOf, timed: Timed, rejected: Result
) -> None:
    report = report_of(timed("alpha", near(0.001)), rejected)

    assert conclusion(report) == "alpha is the only candidate that ran rightly"


def test_without_a_right_candidate_there_is_no_winner(
    report_of: ReportOf, rejected: Result
) -> None:
    report = report_of(rejected)

    assert conclusion(report) == "no candidate ran rightly"
    assert not report.valid


def test_a_report_is_valid_when_every_measured_result_is(
    report_of: ReportOf, timed: Timed, rejected: Result
) -> None:
    good, bad = timed("alpha", near(0.001)), timed("beta", near(0.001), reasons=("too short",))

    assert report_of(good, rejected).valid
    assert not report_of(good, bad).valid


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_its_width_without_breaking_a_name(
    report_of: ReportOf, timed: Timed, rejected: Result, width: int
) -> None:
    report = report_of(timed("elevenchars", near(0.123)), timed("beta", near(0.2)), rejected)

    lines = printed(report, width)

    assert max(map(len, lines)) <= width
    assert sum(line.startswith(("* elevenchars cpu:0", "  beta ")) for line in lines) == 3


def test_the_winner_is_marked_and_the_others_related_to_it(
    report_of: ReportOf, timed: Timed
) -> None:
    lines = printed(report_of(timed("alpha", near(0.001)), timed("beta", near(0.0015))))

    rows = [line.split() for line in lines if " cpu:0 " in line and "f32" in line]
    winner = "* alpha cpu:0 f32 1.05 1.09 100 953 1.00x 3.2e-06 VALID"
    assert rows[0] == winner.split()
    assert rows[1][0] == "beta"
    assert rows[1][7] == "1.50x"


def test_the_table_says_why_a_candidate_was_rejected_and_another_never_tried(
    report_of: ReportOf, timed: Timed, rejected: Result
) -> None:
    report = report_of(timed("alpha", near(0.001)), rejected, dropped={"gamma": "not installed"})

    text = " ".join(" ".join(printed(report, 120)).split())

    assert "beta rejected: output 'y': relative l2 error inf exceeds 0.0001" in text
    assert "gamma not tried: not installed" in text


def test_a_percentile_that_needs_more_samples_is_not_printed(
    report_of: ReportOf, timed: Timed
) -> None:
    lines = printed(report_of(timed("alpha", near(0.001, 20))))

    assert any("n/a" in line for line in lines)
    assert any("p90: n/a (needs >= 64 samples)" in line for line in lines)


def test_invalid_results_are_called_unreliable_at_the_end(
    report_of: ReportOf, timed: Timed
) -> None:
    report = report_of(timed("alpha", near(0.001), reasons=("too short",)))

    lines = printed(report, 200)

    assert lines[-1].endswith("see INVALID, and run again when the machine is idle")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0, "0"), (1.234e-6, "0.00123"), (0.0019876, "1.99"), (0.25, "250"), (12.3456, "12346")],
)
def test_milliseconds_have_three_digits_and_no_exponent(seconds: float, expected: str) -> None:
    assert milliseconds(seconds) == expected


def test_milliseconds_that_are_unknown_are_not_applicable() -> None:
    assert milliseconds(None) == "n/a"


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (None, "unknown"),
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.00 KiB"),
        (9 << 20, "9.00 MiB"),
        (24 << 30, "24.0 GiB"),
    ],
)
def test_a_size_has_a_fitting_unit(size_bytes: int | None, expected: str) -> None:
    assert size(size_bytes) == expected


def test_a_count_has_separators() -> None:
    assert (count(2542856), count(None)) == ("2,542,856", "unknown")


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({}, "-"),
        ({"y": OutputError(relative_l2=0.0)}, "0"),
        ({"y": OutputError(relative_l2=1e-6), "z": OutputError(relative_l2=0.25)}, "2.5e-01"),
        ({"y": OutputError(agreement=0.5)}, "50.00%"),
        ({"y": OutputError(difference="shape")}, "differs"),
    ],
)
def test_an_output_error_is_that_of_the_worst_output(
    errors: dict[str, OutputError], expected: str
) -> None:
    assert error_text(errors) == expected


def test_reasons_and_names_are_shown_as_they_stand(report_of: ReportOf, timed: Timed) -> None:
    report = replace(
        report_of(timed("alpha", near(0.001))),
        source="[red]net\x1b[31m.onnx",
        unverified="no reference: [/gone] [bold]and more[/bold]",
        dropped={"[dim]beta": "raised ValueError('[/x] is wrong') \x1b[2J"},
    )

    text = " ".join(" ".join(printed(report)).split())

    assert r"[red]net\x1b[31m.onnx: onnx" in text
    assert "outputs NOT checked: no reference: [/gone] [bold]and more[/bold]" in text
    assert r"[dim]beta not tried: raised ValueError('[/x] is wrong') \x1b[2J" in text


def test_no_figure_is_cut_on_a_narrow_terminal(
    report_of: ReportOf, timed: Timed, rejected: Result
) -> None:
    report = report_of(timed("onnxruntime", near(0.0123)), timed("openvino", near(0.0456)))

    wide, narrow = (printed(report, width) for width in (120, 60))

    figures = next(line for line in wide if "cpu:0" in line and "*" in line).split()[4:]
    shown = next(line for line in narrow if line.startswith("*"))
    assert len(figures) > 5
    assert [figure for figure in figures if figure not in shown.split()] == []


def screened(result: Result, **options: object) -> Result:
    """The result as that of other settings, which got a few rounds only."""
    candidate = result.measurement.candidate
    other = replace(candidate, options=Options({**candidate.options, **options}))  # type: ignore[dict-item]
    measurement = replace(result.measurement, candidate=other)
    return replace(result, measurement=measurement, screened=True, verdict=Verdict(False, ("s",)))


def test_settings_that_were_screened_are_told_in_one_line(
    report_of: ReportOf, timed: Timed
) -> None:
    slower = screened(timed("alpha", near(0.002)), threads=2)
    slowest = screened(timed("alpha", near(0.003)), spinning=False)

    report = report_of(timed("alpha", near(0.001)), slowest, slower)
    text = " ".join(" ".join(printed(report)).split())

    assert "threads=2 2.00x, spinning=False threads=1 3.00x" in text
    assert text.count("INVALID") == 0


def test_screened_settings_are_compared_in_the_rounds_that_they_ran_in(
    report_of: ReportOf, timed: Timed
) -> None:
    slow, quick = [0.004] * 3, [0.001] * 9
    best = timed("alpha", slow + quick)
    best = replace(best, measurement=replace(best.measurement, windows=((0, 3), (1, 9))))
    other = screened(timed("alpha", [0.006] * 3), threads=2)
    other = replace(other, measurement=replace(other.measurement, windows=((0, 3),)))

    text = " ".join(" ".join(printed(report_of(best, other))).split())

    assert "threads=2 1.50x" in text


def test_what_was_screened_neither_wins_nor_makes_a_report_invalid(
    report_of: ReportOf, timed: Timed
) -> None:
    lucky = screened(timed("alpha", near(0.0001)), threads=2)

    report = report_of(lucky, timed("alpha", near(0.001)))

    assert report.winner == 1
    assert report.valid
    assert conclusion(report) == "alpha is the only candidate that ran rightly"


def test_the_document_says_what_was_screened(report_of: ReportOf, timed: Timed) -> None:
    report = report_of(
        timed("alpha", near(0.001)), screened(timed("alpha", near(0.002)), threads=2)
    )

    results = strict(report.dumps())["results"]

    assert [result["screened"] for result in results] == [False, True]


def test_another_number_of_threads_than_the_benchs_is_shown(
    report_of: ReportOf, timed: Timed
) -> None:
    result = timed("alpha", near(0.001))
    candidate = replace(result.measurement.candidate, options=Options(threads=7))
    other = replace(result, measurement=replace(result.measurement, candidate=candidate))

    rows = [line for line in printed(report_of(result, other), width=120) if "VALID" in line]

    assert ["threads=7" in row for row in rows] == [False, True]
    assert not any("threads=1" in row for row in rows)


def test_settings_that_tell_no_rows_apart_stand_in_a_note(
    report_of: ReportOf, timed: Timed
) -> None:
    result = timed("alpha", near(0.001))
    options = Options(threads=1, pinning=False, precision="f32")
    candidate = replace(result.measurement.candidate, options=options)
    own = replace(result, measurement=replace(result.measurement, candidate=candidate))

    lines = printed(report_of(own, timed("beta", near(0.002))))

    assert [line.split()[:3] for line in lines if "pinning" in line] == [
        ["alpha", "settings:", "pinning=False"]
    ]


def test_for_another_objective_the_chosen_wins_and_its_reason_is_told(
    report_of: ReportOf, timed: Timed
) -> None:
    two = report_of(timed("alpha", near(0.001)), timed("beta", near(0.002)))

    report = replace(two, objective="memory", chosen=1, why="least memory: 1 MiB")

    assert report.winner == 1
    assert conclusion(report) == "beta cpu:0 precision=f32 threads=1: least memory: 1 MiB"


def test_the_rate_of_requests_in_flight_is_shown(report_of: ReportOf, timed: Timed) -> None:
    result = timed("alpha", near(0.001))
    measured = replace(result.measurement, in_flight=2, rates_per_s=(1900.0, 2000.0))

    (document,) = strict(report_of(replace(result, measurement=measured)).dumps())["results"]

    assert document["throughput_per_s"] == pytest.approx(2000.0)
    assert document["in_flight"] == 2
