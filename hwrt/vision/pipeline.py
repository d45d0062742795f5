"""Pipelines: preprocess, session and postprocess as one call.

``hwrt.vision.load("yolov8n.onnx")(frame)`` gives the detections of a frame.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import BackendError, InputError, UnsupportedModel
from hwrt.spec import TensorSpec
from hwrt.vision.frames import Region, check_frame, check_frames, expected, region
from hwrt.vision.geometry import Geometry
from hwrt.vision.model_input import BatchSizes, FrameInput, ModelInput, Preprocess, StageInput
from hwrt.vision.overlap import overlapped
from hwrt.vision.settings import Settings, Shape

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from Python 3.11

    from hwrt.session.loan import Loan

__all__ = ["Pipeline", "Runnable", "check_numbers"]

ResultT = TypeVar("ResultT")
Frame = NDArray[Any]
Outputs = Mapping[str, NDArray[Any]]
Places = Sequence[Geometry | None]
T = TypeVar("T")


class Runnable(Protocol):
    """What a pipeline needs of a session."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The model's inputs as they are run."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The model's outputs as they are run."""

    @property
    def plan(self) -> Any:
        """What was picked: backend, device, precision, shapes."""

    def borrow(self) -> Loan:
        """A request, when one is free."""

    def try_borrow(self) -> Loan | None:
        """A request, or None where none is free."""

    def recover(self, loan: Loan, fault: BackendError) -> Loan:
        """A request of another engine that has run what this one's run failed at."""

    def close(self) -> None:
        """Give everything back."""


class Pipeline(ABC, Generic[ResultT]):
    """A session with the steps before and after it.

    It owns the session: ``close`` (or the end of a ``with``) closes both.  Any thread may call it,
    also at the same time: each call borrows a request of the session's pool, writes the frame into
    its input and reads its output where they lie.  At most so many ``threads`` prepare a large
    frame.
    """

    def __init__(
        self,
        session: Runnable,
        settings: Settings,
        *,
        frames: str = "rgb",
        matrix: str = "bt601",
        preprocess: Preprocess | None = None,
        threads: int = 1,
    ) -> None:
        check_frames(frames, None if preprocess else settings, matrix)
        self.session = session
        self.settings = settings
        self.frames = frames
        self._is_checked = preprocess is None
        spec = _only_input(session.inputs)
        self._sizes = BatchSizes(spec, _bound(session.plan, spec.name))
        if preprocess is None:
            self._input: ModelInput = FrameInput(
                check_numbers("input", (spec,)),
                settings,
                self._sizes,
                frames=frames,
                threads=threads,
                matrix=matrix,
            )
        else:
            self._input = _stage_input(spec, settings, self._sizes, preprocess)

    @overload
    def __call__(self, frame: Frame, *, roi: Region | None = None) -> ResultT: ...

    @overload
    def __call__(self, frame: Sequence[Frame], *, roi: Region | None = None) -> list[ResultT]: ...

    def __call__(
        self, frame: Frame | Sequence[Frame], *, roi: Region | None = None
    ) -> ResultT | list[ResultT]:
        """The result of a frame; for a list of frames, of any sizes, the list of their results.

        A frame is uint8 (H, W, 3) in the channel order said at load, (H, W) for gray, (H * 3 / 2,
        W) for nv12, (H, W, 2) for yuyv.  A list runs as one batch where the model's batch is open,
        in batches of at most the model's size (the last one filled up with zeros) where it is fixed
        or bounded.  ``roi`` is x0, y0, x1, y1
        in pixels: only this part of each frame is looked at, without a copy; boxes stay in the
        pixels of the whole frame.  Raises InputError for anything else.
        """
        read = functools.partial(self._moved, roi=roi)
        if isinstance(frame, np.ndarray):
            return self._run([self._part(frame, roi)], read)[0]
        if not isinstance(frame, list | tuple):
            raise InputError(
                f"the frame is of the type {type(frame).__name__}",
                hint=f"give {expected(self.frames)}, or a list of such",
            )
        parts = [self._part(one, roi) for one in frame]
        batches = self._sizes.split(parts)
        return [result for batch in batches for result in self._run(batch, read)]

    def stream(
        self, frames: Iterable[Frame], *, roi: Region | None = None
    ) -> Generator[ResultT, None, None]:
        """The results of the frames in their order, each frame prepared while the last one runs.

        A result comes when the next frame has been taken and prepared, and while it runs.  Frames
        are taken as results are asked for, so they may have no end; a model of a fixed batch takes
        as many at once.  What the frames raise, and what is wrong with a frame, is raised after the
        results before it; then the stream is at its end.  Where the session's pool has one request
        left, frames run one after the other.  A stream that is not read to its end is closed with
        ``close()``, or when nobody holds it any more, and gives all back.
        """
        sizes = self._sizes
        try:
            taken = iter(frames)
        except TypeError as exc:
            raise InputError(
                f"the frames are of the type {type(frames).__name__}",
                hint="give an iterable of frames",
            ) from exc
        groups = _grouped((self._part(frame, roi) for frame in taken), sizes.least)
        return overlapped(
            self.session,
            groups,
            write=self._input.write,
            read=functools.partial(self._moved, roi=roi),
        )

    def tiled(
        self, frame: Frame, *, tile: tuple[int, int] | None = None, overlap: float = 0.2
    ) -> ResultT:
        """The result of a frame looked at in tiles: what a Detector does, and no other pipeline."""
        raise InputError(
            f"tiles are for detectors, and this pipeline's task is {self.settings.task!r}",
            hint="give roi=(x0, y0, x1, y1) to look at a part of the frame",
        )

    def close(self) -> None:
        """Close the session.  Calling it twice is harmless."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _read(self, outputs: Outputs, places: Places) -> list[ResultT]:
        """One result for each place; what the outputs hold beyond these is filling.

        The outputs are the request's own memory, and no result may keep it.
        """

    def _shift(self, result: ResultT, place: Geometry | None, x: int, y: int) -> ResultT:
        """The result with what it says of places moved by x and y; here nothing is."""
        return result

    def _check_rows(self, name: str, output: NDArray[Any], count: int) -> None:
        """Raise InputError unless the output has one row for each row of the input."""
        rows = max(count, self._sizes.least)
        if output.ndim == 0 or len(output) != rows:
            raise InputError(
                f"the output {name!r} is {output.shape} for a batch of {rows}: it has no row for "
                "each frame",
                hint="load the pipeline with batch=1, or give one frame at a time",
            )

    def _run(self, frames: Sequence[Frame], read: Callable[[Outputs, Places], T]) -> T:
        """What ``read`` makes of the outputs for these frames."""
        loan = self.session.borrow()
        try:
            places = self._input.write(loan.request, frames)
            try:
                loan.request.run()
            except BackendError as exc:
                loan = self.session.recover(loan, exc)
            return read(loan.request.outputs, places)
        finally:
            loan.give_back()

    def _moved(self, outputs: Outputs, places: Places, roi: Region | None) -> list[ResultT]:
        results = self._read(outputs, places)
        if roi is None:
            return results
        pairs = zip(results, places, strict=True)
        return [self._shift(result, place, int(roi[0]), int(roi[1])) for result, place in pairs]

    def _part(self, frame: Frame, roi: Region | None) -> Frame:
        """The part of the frame to look at; InputError for what is no frame."""
        if self._is_checked or not isinstance(frame, np.ndarray):
            check_frame(frame, self.frames)
        return (
            frame if roi is None else region(frame, roi, self.frames if self._is_checked else "rgb")
        )


def check_numbers(kind: str, specs: Sequence[TensorSpec]) -> TensorSpec:
    """The only one of these inputs or outputs, which holds floats or integers with a scale.

    Raises UnsupportedModel for anything else.
    """
    if len(specs) != 1 or not _holds_numbers(specs[0]):
        raise UnsupportedModel(
            f"the {kind}s are {'; '.join(map(str, specs))}",
            hint=f"a pipeline needs one {kind} of floats, or of integers with a scale; hwrt.load "
            "runs any model",
        )
    return specs[0]


def _holds_numbers(spec: TensorSpec) -> bool:
    """True for floats, and for integers of which the file says what they stand for."""
    if spec.quantization is not None:
        return spec.dtype in (np.int8, np.uint8, np.int16, np.uint16)
    return spec.dtype in (np.float32, np.float16)


def _only_input(inputs: Sequence[TensorSpec]) -> TensorSpec:
    if len(inputs) != 1:
        check_numbers("input", inputs)
    return inputs[0]


def _stage_input(
    spec: TensorSpec, settings: Settings, sizes: BatchSizes, preprocess: Preprocess
) -> ModelInput:
    fixed: Shape = (spec.shape or (None,))[1:]
    image = tuple(size for size in fixed if size is not None)
    return StageInput(spec, settings.image if None in fixed else image, sizes, preprocess)


def _bound(plan: Any, name: str) -> Any:
    """What the load gave as the input's first dimension, None where it gave nothing."""
    shapes: Mapping[str, Sequence[Any]] = getattr(plan, "shapes", None) or {}
    return next(iter(shapes.get(name, ())), None)


def _grouped(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """The frames in groups; the last one, also before what the frames raise, may be smaller."""
    group: list[Frame] = []
    try:
        for frame in frames:
            # The next one may come in the same array.
            group.append(frame.copy() if size > 1 else frame)
            if len(group) == size:
                yield group
                group = []
    except Exception:
        if group:
            yield group
        raise
    if group:
        yield group
