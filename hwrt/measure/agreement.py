"""What a number of right answers shows of all the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hwrt.errors import InputError

__all__ = ["Judgement", "answers_needed", "disagreement_bound"]

_CONFIDENCE = 0.95
_SHOWN = 0.05
_BISECTIONS = 60


@dataclass(frozen=True)
class Judgement:
    """How a candidate's outputs were judged, and how much that shows.

    ``metric`` names what was compared.  ``samples`` is the number of sets of feeds, ``answers`` how
    many answers were judged: one for each image of a batch, those left out where the reference is
    not sure itself.  ``wrong`` of them differ.  ``bound`` is the 95 % upper bound of the share of
    wrong answers among inputs such as the samples; None where nothing was judged or the feeds were
    random numbers, which are like nothing that comes later.  ``note`` tells in words what limits
    this, None where nothing does.
    """

    metric: str
    samples: int
    answers: int
    wrong: int
    bound: float | None = None
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Judgement:
        """What ``to_json`` was given.  Raises InputError where the document is something else."""
        try:
            return cls(**document)
        except TypeError as exc:
            raise InputError(f"not a judgement: {exc}") from exc

    def __str__(self) -> str:
        told = f"{self.metric}: {self.wrong} wrong of {self.answers}"
        if self.bound is not None:
            told += f", at most {self.bound:.1%} at 95 %"
        return f"{told} ({self.note})" if self.note else told

    @classmethod
    def of(cls, metric: str, *, samples: int, answers: int, wrong: int, given: bool) -> Judgement:
        """With the bound and the note that follow; ``given``: the samples are the user's."""
        bound = disagreement_bound(wrong, answers) if given and answers else None
        note = None
        if not given:
            note = "judged on random numbers"
        elif bound is not None and wrong == 0 and bound > _SHOWN:
            note = (
                f"{answers} are too few to show that at most {_SHOWN:.0%} differ: "
                f"{answers_needed(_SHOWN)} are needed"
            )
        return cls(metric, samples, answers, wrong, bound, note)


def disagreement_bound(wrong: int, answers: int) -> float:
    """The Clopper-Pearson 95 % upper bound of a share of which ``wrong`` in ``answers`` are seen.

    0 of 13 gives 0.206.  Raises InputError for counts that can not be.
    """
    if answers < 1 or not 0 <= wrong <= answers:
        raise InputError(f"{wrong} wrong of {answers} answers", hint="give 0 to all, of at least 1")
    if wrong == answers:
        return 1.0
    low, high = wrong / answers, 1.0
    for _ in range(_BISECTIONS):
        share = (low + high) / 2
        if _at_most(wrong, answers, share) > 1 - _CONFIDENCE:
            low = share
        else:
            high = share
    return high


def answers_needed(share: float) -> int:
    """How many right answers show, at 95 %, that at most this share is wrong: 59 for 0.05."""
    return math.ceil(math.log(1 - _CONFIDENCE) / math.log(1 - share))


def _at_most(wrong: int, answers: int, share: float) -> float:
    """The probability of at most so many wrong answers where this share of all is wrong."""
    return math.fsum(
        math.comb(answers, k) * share**k * (1 - share) ** (answers - k) for k in range(wrong + 1)
    )
