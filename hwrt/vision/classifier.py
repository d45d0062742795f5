"""The pipeline from frames to their best classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import UnsupportedModel
from hwrt.vision.geometry import Geometry
from hwrt.vision.model_input import Preprocess
from hwrt.vision.pipeline import Outputs, Pipeline, Runnable, check_numbers
from hwrt.vision.postprocess import top_k
from hwrt.vision.quantization import dequantize
from hwrt.vision.results import Classification
from hwrt.vision.settings import Settings, Shape

__all__ = ["Classifier"]


class Classifier(Pipeline[Classification]):
    """Frames to their best classes."""

    def __init__(
        self,
        session: Runnable,
        settings: Settings,
        *,
        frames: str = "rgb",
        matrix: str = "bt601",
        preprocess: Preprocess | None = None,
        threads: int = 1,
        top: int = 5,
    ) -> None:
        super().__init__(
            session,
            settings,
            frames=frames,
            matrix=matrix,
            preprocess=preprocess,
            threads=threads,
        )
        self.top = top
        self._output = check_numbers("output", session.outputs)
        if self._output.shape is not None:
            self._check_output(self._output.shape)

    def _check_output(self, shape: Shape) -> None:
        count = len(self.settings.labels)
        sizes = [size for size in shape[1:] if size != 1]
        expected = [count] if count != 1 else []
        if len(shape) < 2 or (None not in sizes and sizes != expected):
            raise UnsupportedModel(
                f"the output {self._output.name!r} is {shape}, not (batch, {count}) for "
                f"{count} labels",
                hint="give one label for each of the model's classes",
            )

    def _read(self, outputs: Outputs, places: Sequence[Geometry | None]) -> list[Classification]:
        output = outputs[self._output.name]
        self._check_output(output.shape)
        self._check_rows(self._output.name, output, len(places))
        quantization = self._output.quantization
        if quantization is not None:
            scale, zero_point, axis = quantization
            output = dequantize(output, scale, zero_point, axis=axis)
        rows = output.reshape(len(output), -1)[: len(places)].astype(np.float32, copy=False)
        labels, softmax = self.settings.labels, self.settings.softmax
        found = []
        for row in rows:
            logits = not self._are_probabilities(row) if softmax is None else softmax
            classes, scores = top_k(row, self.top, softmax=logits)
            names = tuple([labels[number] for number in classes.tolist()])
            found.append(Classification(classes=classes, scores=scores, labels=names))
        return found

    def _are_probabilities(self, row: NDArray[Any]) -> bool:
        """True when nothing is negative and the sum is 1, but for rounding.

        A 16-bit float is off by a thousandth, a quantised one by half a step an element.
        """
        quantization = self._output.quantization
        rounding = 0.0 if quantization is None else max(quantization.scale) / 2 * row.size
        off = abs(float(row.sum(dtype=np.float64)) - 1)
        return bool(row.min() >= 0 and row.max() <= 1 and off <= 0.01 + rounding)
