from __future__ import annotations

import builtins
import itertools
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.errors import HwrtError, InputError
from hwrt.vision.video import Video, VideoWriter, require_opencv

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Ten frames of 64x48, each brighter than the one before; 20 a second."""
    path = tmp_path / "film.mp4"
    writer = VideoWriter(path, rate=20)
    for level in range(10):
        writer.write(np.full((48, 64, 3), level * 20, np.uint8))
    writer.close()
    return path


class FakeCapture:
    """Ten frames of 8x8; then nothing, though ``stated`` were promised."""

    stated = 0.0
    rate = 0.0
    opened = True

    def __init__(self, address: Any) -> None:
        self.address = address
        self.left = 10
        self.set_to: list[Any] = []

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opened

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return (True, np.zeros((8, 8, 3), np.uint8)) if self.left >= 0 else (False, None)

    def get(self, what: int) -> float:
        return self.rate if what == cv2.CAP_PROP_FPS else self.stated

    def set(self, what: int, value: float) -> bool:
        self.set_to.append((what, value))
        return False

    def release(self) -> None:
        self.left = 0


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    """What OpenCV opens instead; a class of the test's own."""
    own = type("Capture", (FakeCapture,), {})
    monkeypatch.setattr(cv2, "VideoCapture", own)
    return own


def test_the_frames_of_a_file_come_in_order_with_their_times(film: Path) -> None:
    video = Video(str(film), "film")

    frames = list(video.frames())

    assert list(range(10)) == [one.number for one in frames]
    np.testing.assert_allclose([one.time_s for one in frames], np.arange(10) / 20)
    levels = [float(one.frame.mean()) for one in frames]
    assert sorted(levels) == levels
    assert {((48, 64, 3), np.dtype(np.uint8))} == {(f.frame.shape, f.frame.dtype) for f in frames}
    assert (20.0, False) == (video.rate, video.is_live)


def test_a_video_keeps_its_colours_in_opencvs_order(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "blue.mp4", rate=10)
    writer.write(np.full((48, 64, 3), (250, 20, 20), np.uint8))
    writer.close()

    (one,) = Video(str(tmp_path / "blue.mp4"), "blue").frames()

    assert one.frame[..., 0].mean() > 200 > 60 > one.frame[..., 2].mean()


@pytest.mark.parametrize("name", ["gone.mp4", "text.mp4"])
def test_a_file_that_is_no_video_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mp4").write_text("no film")

    with pytest.raises(InputError, match=r"can not be opened.*intact video file"):
        Video(str(tmp_path / name), name)


def test_opencv_prints_nothing_of_a_video_that_it_can_not_decode(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"QQQQ"))

    with pytest.raises(HwrtError, match="the video 'film'"):
        list(Video(str(path), "film").frames())

    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize(
    ("address", "hint"), [(7, "/dev/video7"), ("rtsp://camera/1", "user name and password")]
)
def test_a_live_source_that_can_not_be_opened_is_an_error(
    capture: type[FakeCapture], address: Any, hint: str
) -> None:
    capture.opened = False

    with pytest.raises(InputError, match=f"can not be opened.*{hint}"):
        Video(address, str(address))


def test_only_a_live_source_is_asked_for_its_newest_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[FakeCapture] = []

    def capture(address: Any) -> FakeCapture:
        opened.append(FakeCapture(address))
        return opened[-1]

    monkeypatch.setattr(cv2, "VideoCapture", capture)

    Video(0, "0")
    Video("film.mp4", "film")

    assert [[(cv2.CAP_PROP_BUFFERSIZE, 1)], []] == [one.set_to for one in opened]


@pytest.mark.parametrize("address", [0, "rtsp://camera/1"])
def test_a_live_source_breaks_off_with_the_frame_that_does_not_come(
    capture: type[FakeCapture], address: Any
) -> None:
    ticks = itertools.count(100.0, 0.5)
    frames = Video(address, "front", clock=lambda: next(ticks)).frames()

    times = [next(frames).time_s for _ in range(10)]

    assert [i / 2 for i in range(10)] == times
    with pytest.raises(HwrtError, match="'front' broke off after 10 frames"):
        next(frames)


@pytest.mark.parametrize(
    ("stated", "breaks"), [(10, False), (11, False), (0, False), (12, True), (20, True)]
)
def test_a_file_breaks_off_where_frames_of_its_header_are_missing(
    capture: type[FakeCapture], stated: int, breaks: bool
) -> None:
    capture.stated = stated
    frames = Video("film.mp4", "film").frames()
    for _ in range(10):
        next(frames)

    if breaks:
        with pytest.raises(HwrtError, match=f"broke off after 10 of {stated} frames"):
            next(frames)
    else:
        assert next(frames, None) is None


@pytest.mark.parametrize(("stated", "rate"), [(30.0, 30.0), (0.0, 25.0), (90000.0, 25.0)])
def test_a_rate_that_can_not_be_is_taken_for_the_usual_one(
    capture: type[FakeCapture], stated: float, rate: float
) -> None:
    capture.rate = stated

    assert rate == Video(0, "0").rate


def test_a_written_video_is_there_once_it_is_closed(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "deep" / "film.mp4", rate=20)
    writer.write(np.zeros((48, 64, 3), np.uint8))
    before = (tmp_path / "deep" / "film.mp4").exists()
    writer.close()
    writer.close()

    assert not before
    assert ["film.mp4"] == [path.name for path in (tmp_path / "deep").iterdir()]


def test_a_video_that_the_disk_has_no_space_for_is_an_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    writer = VideoWriter(tmp_path / "film.mp4", rate=20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        for _ in range(10):
            writer.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
        with pytest.raises(HwrtError, match=r"film\.mp4' could not be written to its end"):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    writer.close()
    assert [] == list(tmp_path.iterdir())


def test_a_video_without_a_frame_is_an_error(capture: type[FakeCapture]) -> None:
    video = Video("film.mp4", "film")
    video.close()

    with pytest.raises(HwrtError, match="'film' gives no frame"):
        next(video.frames())


def test_a_frame_of_another_size_is_an_error(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "film.mp4", rate=20)
    writer.write(np.zeros((48, 64, 3), np.uint8))

    with pytest.raises(InputError, match=r"a frame of 32x48 .* 64x48"):
        writer.write(np.zeros((48, 32, 3), np.uint8))

    writer.close()


def test_a_video_that_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = VideoWriter(tmp_path / "file" / "film.mp4", rate=20)

    with pytest.raises(HwrtError, match="can not be written"):
        writer.write(np.zeros((48, 64, 3), np.uint8))


def test_without_opencv_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    own = builtins.__import__

    def absent(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "cv2":
            raise ImportError(name)
        return own(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", absent)

    with pytest.raises(HwrtError, match=r"OpenCV is not installed.*extra 'video'"):
        require_opencv()
