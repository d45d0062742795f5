"""Frames and outputs that lie in memory in odd ways, and what the Resampler refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .resampling import IMAGENET, LEVELS, Numbers, noise, run, whole

compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")

METHODS = ["bilinear", "area"]
ROWS, COLUMNS = whole(20, 7), whole(50, 19)
Cut = Callable[[np.ndarray], np.ndarray]


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def unaligned(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.zeros(size + 1, np.uint8)[1:].view(dtype).reshape(shape)


VIEWS = {
    "upside down": lambda a: a[::-1],
    "mirrored": lambda a: a[:, ::-1],
    "every third row and second column": lambda a: a[::3, ::2],
    "channels reversed": lambda a: a[..., ::-1],
    "channels reversed in a part of a row": lambda a: a[:, 5:41, ::-1],
    "all three reversed": lambda a: a[::-1, ::-1, ::-1],
    "rows and columns exchanged": lambda a: a.transpose(1, 0, 2),
    "column by column": np.asfortranarray,
    "one channel of three": lambda a: a[..., 1:2],
    "three channels of four": lambda a: np.concatenate([a, a[..., :1]], axis=2)[..., :3],
    "one pixel everywhere": lambda a: np.broadcast_to(a[3:4, 4:5], a.shape),
    "one row everywhere": lambda a: np.broadcast_to(a[3:4], a.shape),
    "one column everywhere": lambda a: np.broadcast_to(a[:, 4:5], a.shape),
    "gray as three channels": lambda a: np.broadcast_to(a[..., :1], a.shape),
    "one column": lambda a: a[:, 7:8],
    "one column reversed": lambda a: a[:, 7:8, ::-1],
    "a part": lambda a: a[3:17, 9:44],
    "read-only": lambda a: read_only(a.copy()),
    "in a record": lambda a: np.array([(a, 1)], [("frame", np.uint8, a.shape), ("tag", "u1")])[0][
        "frame"
    ],
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_a_frame_gives_what_its_copy_gives(kernels: Any, view: str, method: str) -> None:
    frame = VIEWS[view](noise(60, 70))
    rows, columns = whole(frame.shape[0], 7), whole(frame.shape[1], 19)

    out = run(kernels, frame, rows, columns, method=method)

    np.testing.assert_array_equal(run(kernels, frame.copy("C"), rows, columns, method=method), out)


def test_a_frame_is_left_as_it_was(kernels: Any) -> None:
    frame = noise(20, 50)
    before = frame.copy()

    run(kernels, frame, ROWS, COLUMNS)

    np.testing.assert_array_equal(before, frame)


def test_reversed_twice_is_not_reversed(kernels: Any) -> None:
    frame = noise(20, 50)

    out = run(kernels, frame[..., ::-1], ROWS, COLUMNS, numbers=Numbers(reverse=True))

    np.testing.assert_array_equal(run(kernels, frame, ROWS, COLUMNS), out)


CUTS: dict[str, Cut] = {
    "planar": lambda a: a[:3, :12, :23].transpose(1, 2, 0),
    "planar backwards": lambda a: a[2::-1, 11::-1, 22::-1].transpose(1, 2, 0),
    "planar, every other pixel": lambda a: a[:3, :24:2, :46:2].transpose(1, 2, 0),
    "planar, columns before rows": lambda a: a[:3, :23, :12].transpose(2, 1, 0),
    "interleaved": lambda a: a[:12, :23, :3],
    "interleaved, reversed": lambda a: a[:12, :23, 2::-1],
    "interleaved, the middle": lambda a: a[5:17, 4:27, 10:13],
    "interleaved, pixels apart": lambda a: a[:12, 10:56:2, 7:4:-1],
    "one channel of a row": lambda a: a[3:15, 3:26, 8:9],
}


@pytest.mark.parametrize("element", ["float32", "float16", "uint8", "int8"])
@pytest.mark.parametrize("cut", CUTS)
def test_any_layout_of_out_is_written_and_nothing_beside_it(
    kernels: Any, cut: str, element: str
) -> None:
    memory = np.full((60, 60, 60), 77, element)
    out = CUTS[cut](memory)
    dense, frame = np.empty(out.shape, element), noise(20, 50, out.shape[2])
    numbers = IMAGENET if np.dtype(element).kind == "f" else LEVELS

    run(kernels, frame, ROWS, COLUMNS, out=out, at=(2, 3), numbers=numbers)
    run(kernels, frame, ROWS, COLUMNS, out=dense, at=(2, 3), numbers=numbers)

    np.testing.assert_array_equal(dense, out)
    out[...] = 77
    assert (memory == 77).all()


def overrun(kernels: Any, width: int, element: str, order: tuple[int, int, int]) -> int:
    """How many elements before and behind a dense out are changed."""
    sizes = (3, width, 3) if order == (0, 1, 2) else (3, 3, width)
    memory = np.full(int(np.prod(sizes)) + 64, 77, element)
    out = memory[32:-32].reshape(sizes).transpose(order)
    run(kernels, noise(5, 40), whole(5, 3), whole(40, width), out=out)
    return np.count_nonzero(memory[:32] != 77) + np.count_nonzero(memory[-32:] != 77)


@pytest.mark.parametrize("element", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)], ids=["NHWC", "NCHW"])
def test_rows_of_every_width_around_a_vector_are_not_run_over(
    kernels: Any, element: str, order: tuple[int, int, int]
) -> None:
    overruns = [overrun(kernels, width, element, order) for width in range(1, 34)]

    assert [0] * 33 == overruns


def huge_file(path: Path, size: int) -> np.ndarray:
    """Memory of a file without contents: it takes room where it is written alone."""
    return np.memmap(path, np.uint8, "w+", shape=(size,))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sign", [1, -1])
def test_rows_of_a_frame_may_lie_more_than_2_gb_apart(
    kernels: Any, tmp_path: Path, method: str, sign: int
) -> None:
    stride = (1 << 31) + 4099
    memory = huge_file(tmp_path / "frame", 2 * stride + 150)
    far = np.lib.stride_tricks.as_strided(memory, (3, 50, 3), (stride, 3, 1))
    far[...] = noise(3, 50)

    out = run(kernels, far[::sign], whole(3, 2), COLUMNS, method=method)

    wanted = run(kernels, noise(3, 50)[::sign].copy(), whole(3, 2), COLUMNS, method=method)
    np.testing.assert_array_equal(wanted, out)


def test_rows_and_planes_of_out_may_lie_more_than_2_gb_apart(kernels: Any, tmp_path: Path) -> None:
    stride = (1 << 31) + 4096
    memory = huge_file(tmp_path / "out", 3 * stride + 4 * 23 * 4)
    far = np.lib.stride_tricks.as_strided(
        memory[: len(memory) // 4 * 4].view(np.float32), (2, 23, 2), (stride, 4, stride)
    )[..., :1]

    run(kernels, noise(4, 50, 1), whole(4, 2), COLUMNS, out=far, at=(0, 2))

    dense = np.empty((2, 23, 1), np.float32)
    run(kernels, noise(4, 50, 1), whole(4, 2), COLUMNS, out=dense, at=(0, 2))
    np.testing.assert_array_equal(dense, far)


def test_frames_of_more_than_2_gb_are_served(kernels: Any) -> None:
    row = noise(1, 30_000)
    frame = np.broadcast_to(row, (100_000, 30_000, 3))

    out = run(kernels, frame, (100_000, 40_000, 39_999, 1), (30_000, 300, 100, 21))

    wanted = run(kernels, row, whole(1, 1), (30_000, 300, 100, 21))
    np.testing.assert_array_equal(wanted, out)


@pytest.mark.parametrize("method", METHODS)
def test_eight_threads_share_a_resampler(method: str) -> None:
    frames = [noise(90, 70 + n)[:, :70] for n in range(8)]
    outs = np.zeros((8, 40, 33, 3), np.float32)
    resampler = compiled.Resampler(whole(90, 40), whole(70, 33), 3, method == "area")

    def fill(n: int) -> None:
        for _ in range(20):
            resampler.run(frames[n], outs[n], 0, 0, *(IMAGENET.scale, IMAGENET.bias), (0.0,) * 3, 0)

    threads = [threading.Thread(target=fill, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    how = {"method": method, "numbers": IMAGENET}
    alone = [run(compiled, frame, whole(90, 40), whole(70, 33), **how) for frame in frames]
    np.testing.assert_array_equal(alone, outs)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threads", [2, 3, 7, 64])
@pytest.mark.parametrize("rows", [(2100, 301, 0, 301), (2100, 900, 450, 5), (2100, 3, 1, 1)])
def test_threads_write_what_one_writes(method: str, threads: int, rows: Any) -> None:
    frame, columns = noise(2100, 3000), whole(3000, 200)

    out = run(compiled, frame, rows, columns, method=method, threads=threads)

    np.testing.assert_array_equal(run(compiled, frame, rows, columns, method=method), out)


def call(**changed: Any) -> None:
    given = {"frame": noise(20, 50), "out": np.zeros((9, 23, 3), np.float32), "top": 2, "left": 4}
    given |= {"scale": (1.0,) * 3, "bias": (0.0,) * 3, "pad": (0.0,) * 3, "reverse": False}
    compiled.Resampler(ROWS, COLUMNS, 3, False).run(**(given | changed))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("frame", np.zeros((20, 50, 3), np.int8), "frame is int8, not uint8"),
        ("frame", np.zeros((20, 50, 3), np.float32), "frame is float32, not uint8"),
        ("out", np.zeros((9, 23, 3), np.float64), "out is float64, not float32, float16"),
        ("out", np.zeros((9, 23, 3), np.uint16), "out is uint16, not float32, float16"),
        ("out", np.zeros((9, 23, 3), ">f4"), "out is >f4, not float32"),
        ("out", np.zeros((9, 23, 3), np.bool_), "out is bool, not float32"),
        ("out", [[1.0]], "incompatible function arguments"),
    ],
)
def test_another_dtype_is_a_type_error(name: str, array: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(**{name: array})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frame": np.zeros((20, 50), np.uint8)}, r"frame has the shape \(20, 50\)"),
        ({"frame": np.zeros((20, 51, 3), np.uint8)}, r"\(20, 51, 3\), not \(20, 50, 3\)"),
        ({"frame": np.zeros((20, 50, 1), np.uint8)}, r"\(20, 50, 1\), not \(20, 50, 3\)"),
        ({"out": np.zeros((9, 23, 1), np.float32)}, r"which is not \(h, w, 3\)"),
        ({"out": np.zeros((9, 23, 4), np.float32)}, r"which is not \(h, w, 3\)"),
        ({"out": np.zeros((9, 23), np.float32)}, r"out has the shape \(9, 23\)"),
        ({"out": np.zeros((8, 23, 3), np.float32)}, r"does not hold 7 x 19 pixels from \(2, 4\)"),
        ({"out": np.zeros((9, 22, 3), np.float32)}, r"does not hold 7 x 19 pixels from \(2, 4\)"),
        ({"top": -1}, r"does not hold 7 x 19 pixels from \(-1, 4\)"),
        ({"top": (1 << 63) - 1}, "does not hold 7 x 19 pixels"),
        ({"left": 5}, r"does not hold 7 x 19 pixels from \(2, 5\)"),
        ({"out": read_only(np.zeros((9, 23, 3), np.float32))}, "out is read-only"),
        ({"out": unaligned((9, 23, 3), np.float32)}, "out is not aligned"),
        ({"out": unaligned((9, 23, 3), np.float16)}, "out is not aligned"),
        (
            {"out": np.zeros((9, 23), [("pixel", np.float32, 3), ("tag", "u1")])["pixel"]},
            "out is not aligned",
        ),
    ],
)
def test_another_shape_or_layout_is_a_value_error(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(**changed)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(slice(0, 621), id="the frame's begin"),
        pytest.param(slice(2999, 3620), id="the frame's last byte"),
        pytest.param(slice(1000, 1621), id="within the frame"),
    ],
)
def test_out_in_the_frames_memory_is_a_value_error(place: slice) -> None:
    memory = np.zeros(4000, np.uint8)
    frame = memory[:3000].reshape(20, 50, 3)

    with pytest.raises(ValueError, match="out shares the frame's memory"):
        call(frame=frame[::-1], out=memory[place].view(np.int8).reshape(9, 23, 3))


def test_out_right_behind_the_frame_is_written() -> None:
    memory = np.zeros(4000, np.uint8)
    memory[:3000] = 50

    call(frame=memory[:3000].reshape(20, 50, 3), out=memory[3000:3621].reshape(9, 23, 3))

    assert 7 * 19 * 3 * 50 == memory[3000:].sum()


@pytest.mark.parametrize(
    "span",
    [(0, 1, 0, 1), (1, 0, 0, 1), (4, 4, -1, 2), (4, 4, 0, 0), (4, 4, 3, 2), (1 << 40, 4, 0, 4)],
)
def test_what_is_no_span_is_a_value_error(span: Any) -> None:
    with pytest.raises(ValueError, match=r"rows is .* which is no span of 1 to"):
        compiled.Resampler(span, (4, 4, 0, 4), 3, False)
    with pytest.raises(ValueError, match=r"columns is .* which is no span of 1 to"):
        compiled.Resampler((4, 4, 0, 4), span, 3, True)


@pytest.mark.parametrize("channels", [0, 2, 4, -1])
def test_another_number_of_channels_is_a_value_error(channels: int) -> None:
    with pytest.raises(ValueError, match=f"channels is {channels}, not 1 or 3"):
        compiled.Resampler(ROWS, COLUMNS, channels, False)
