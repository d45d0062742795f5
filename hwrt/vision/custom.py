"""The pipeline whose results the caller's own postprocess makes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from hwrt.vision.geometry import Geometry
from hwrt.vision.model_input import Preprocess
from hwrt.vision.pipeline import Outputs, Pipeline, Runnable
from hwrt.vision.settings import Settings

__all__ = ["Custom", "Postprocess"]

Postprocess = Callable[..., Any]
"""``postprocess(outputs)`` or ``postprocess(outputs, geometry=...)``; see ``hwrt.vision.load``."""


class Custom(Pipeline[Any]):
    """Frames to whatever the caller's postprocess returns."""

    def __init__(
        self,
        session: Runnable,
        settings: Settings,
        *,
        postprocess: Postprocess,
        frames: str = "rgb",
        matrix: str = "bt601",
        preprocess: Preprocess | None = None,
        threads: int = 1,
    ) -> None:
        super().__init__(
            session,
            settings,
            frames=frames,
            matrix=matrix,
            preprocess=preprocess,
            threads=threads,
        )
        self._postprocess = postprocess
        self._takes_geometry = _takes_geometry(postprocess)

    def _read(self, outputs: Outputs, places: Sequence[Geometry | None]) -> list[Any]:
        results = []
        alone = len(places) == self._sizes.least == 1
        for i, place in enumerate(places):
            own = dict(outputs) if alone else self._row(outputs, i, len(places))
            if self._takes_geometry:
                results.append(self._postprocess(own, geometry=place))
            else:
                results.append(self._postprocess(own))
        return results

    def _row(self, outputs: Outputs, i: int, count: int) -> Mapping[str, NDArray[Any]]:
        """What of the outputs belongs to one frame, each with a first dimension of 1."""
        for name, array in outputs.items():
            self._check_rows(name, array, count)
        return {name: array[i : i + 1] for name, array in outputs.items()}


def _takes_geometry(postprocess: Postprocess) -> bool:
    try:
        return "geometry" in inspect.signature(postprocess).parameters
    except (TypeError, ValueError):  # compiled functions need not tell
        return False
