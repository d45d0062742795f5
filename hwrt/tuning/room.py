"""Whether another candidate fits into memory beside those that are there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwrt.machine.memory import free_bytes
from hwrt.tuning.trial import Trial

__all__ = ["Room"]

# Of a candidate of which nothing is known: the vendor's libraries, and a model's weights as they
# are read, converted, repacked and kept.
_LIBRARIES_BYTES, _COPIES = 200 << 20, 4
# A peak is not the same twice, what is resident grows a little while it runs, and the machine needs
# some memory too.
_MARGIN, _SPARE_BYTES = 1.25, 96 << 20


class Room:
    """Free memory, and what candidates are known to take of it.

    ``free`` reads how many bytes may still be taken: None where that is not known.
    """

    def __init__(self, model_bytes: int, free: Callable[[], int | None] = free_bytes) -> None:
        self._guess = _LIBRARIES_BYTES + _COPIES * model_bytes
        self._free = free

    def fits(self, trial: Trial, others: Sequence[Trial]) -> bool:
        """True where the trial may be compiled now; ``others`` are all that were compiled before.

        Engines of one backend resemble each other, whatever their options.
        """
        free = self._free()
        if free is None:
            return True
        backend = trial.found.candidate.backend
        known = [
            (of.found.candidate.backend == backend, of.measurement.peak_rss_bytes or 0)
            for of in others
        ]
        alike = [peak for is_alike, peak in known if is_alike and peak]
        need = max(alike or [peak for _, peak in known if peak] or [self._guess])
        return free >= need * _MARGIN + _SPARE_BYTES
