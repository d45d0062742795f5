"""The outputs by which candidates are judged, and who made them."""

from __future__ import annotations

from hwrt.backend import Array
from hwrt.errors import HwrtError
from hwrt.measure.output_error import compare, judges_nothing, within, worst
from hwrt.tuning.folders import cache_of
from hwrt.tuning.report import Report
from hwrt.tuning.search import Search
from hwrt.tuning.trial import Task, Trial

__all__ = ["find_reference"]

_SAYS_NOTHING = (
    "on these feeds the reference gives no finite number: give samples with which it does"
)


def find_reference(
    task: Task, found: Search, report: Report
) -> tuple[list[dict[str, Array]] | None, str | None, str | None]:
    """(outputs, who made them, None or why they judge nothing), or (None, None, why none are)."""
    reasons = [f"{name}: {why}" for name, why in found.mute.items()]
    for judge in found.references:
        report(0.0, f"reference outputs from {judge.candidate.backend}")
        trial = Trial(judge)
        try:
            trial.compile(task, cache_of(task, judge))
            outputs = trial.answer(task, "reference")
            again = trial.answer(task, "reference-again")
        except HwrtError as exc:
            outputs = again = None
            trial.fail(str(exc))
        finally:
            trial.finish()
        if outputs is not None and again is not None:
            spread = worst(
                compare(one, other, task.model.outputs)
                for one, other in zip(again, outputs, strict=True)
            )
            if within(spread, task.tolerance) is None:
                void = all(map(judges_nothing, outputs))
                return outputs, str(judge.candidate), _SAYS_NOTHING if void else None
            trial.fail("its outputs differ from one run to the next")
        reasons.append(f"{judge.candidate.backend}: {trial.measurement.reason}")
    if not reasons:
        return None, None, "no backend here offers a reference for this model"
    return None, None, f"no reference could be run: {'; '.join(reasons)}"
