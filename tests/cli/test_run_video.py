"""``hwrt run`` over video files, cameras and streams."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.errors import HwrtError
from hwrt.vision.video import Video, VideoFrame, VideoWriter

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
Call = Callable[..., tuple[int, str, str]]
BLUE = (250, 10, 10)
"""In OpenCV's order."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Five blue frames of 32x16, ten a second."""
    path = tmp_path / "film.mp4"
    writer = VideoWriter(path, rate=10)
    for _ in range(5):
        writer.write(np.full((16, 32, 3), BLUE, np.uint8))
    writer.close()
    return path


class Live:
    """A camera in the place of Video: three frames, then what ``end`` raises."""

    rate = 12.0
    opened: list[tuple[Any, str]]
    closed: list[str]
    end: BaseException

    def __init__(self, address: Any, name: str) -> None:
        self.opened.append((address, name))
        self.name = name

    def frames(self) -> Any:
        for i in range(3):
            yield VideoFrame(np.full((16, 32, 3), BLUE, np.uint8), i, i / 12)
        raise self.end

    def close(self) -> None:
        self.closed.append(self.name)


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> type[Live]:
    own = type("OwnLive", (Live,), {"opened": [], "closed": [], "end": KeyboardInterrupt()})
    monkeypatch.setattr("hwrt.cli.run_sources.Video", own)
    return own


def broken(name: str) -> Exception:
    return HwrtError(f"the video {name!r} broke off after 3 frames")


def test_the_frames_of_a_video_are_listed_with_their_times(call: Call, film: Path) -> None:
    code, out, err = call("detector.onnx", film)

    lines = out.splitlines()
    assert (0, "") == (code, err)
    assert [
        f"{film} #0 0.000 s (32x16):",
        "  0.75  dog  (8, 0) to (24, 16)",
        f"{film} #1 0.100 s (32x16):",
    ] == lines[1:4]
    assert 11 == len(lines)


def test_json_numbers_the_frames_and_says_their_times(call: Call, film: Path) -> None:
    code, out, err = call("detector.onnx", film, "--json")

    document = json.loads(out)
    assert (0, "") == (code, err)
    assert "hwrt.run/1" == document["schema"]
    assert [
        {
            "source": str(film),
            "frame": i,
            "time_s": pytest.approx(i / 10),
            "width": 32,
            "height": 16,
            "detections": [
                {"class": 1, "label": "dog", "score": 0.75, "box_xyxy": [8.0, 0.0, 24.0, 16.0]}
            ],
        }
        for i in range(5)
    ] == document["results"]
    assert "error" not in document


def test_the_colours_of_a_video_reach_the_model_in_its_order(
    call: Call, film: Path, seeing_request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = []
    run = seeing_request.run

    def keep(self: Any) -> None:
        tensors.append(self.inputs["images"].copy())
        run(self)

    monkeypatch.setattr(seeing_request, "run", keep)

    call("detector.onnx", film)

    red, _, blue = tensors[0][0].mean(axis=(1, 2))
    assert blue > 0.7 > 0.4 > red


def test_images_beside_a_video_keep_their_colours(
    call: Call, film: Path, folder: Path, seeing_request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    image.fromarray(np.full((8, 8, 3), (10, 20, 250), np.uint8)).save(folder / "blue.png")
    tensors = []
    run = seeing_request.run

    def keep(self: Any) -> None:
        tensors.append(self.inputs["images"].copy())
        run(self)

    monkeypatch.setattr(seeing_request, "run", keep)

    call("detector.onnx", folder / "blue.png", film)

    np.testing.assert_allclose(tensors[0][0, :, 0, 0], np.array([10, 20, 250]) / 255, rtol=1e-5)


def test_save_writes_a_video_with_the_boxes(call: Call, film: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")

    code, out, _ = call("detector.onnx", film, "--save", tmp_path / "out", "--json")

    target = tmp_path / "out" / "film.mp4"
    frames = list(Video(str(target), "saved").frames())
    assert 0 == code
    assert {str(target)} == {entry["saved"] for entry in json.loads(out)["results"]}
    assert (5, (16, 32, 3)) == (len(frames), frames[0].frame.shape)
    # Outside of the box the frame is as blue as it was.
    assert frames[0].frame[8, 2, 0] > 200 > 100 > frames[0].frame[8, 2, 2]
    assert 10.0 == Video(str(target), "saved").rate


def without_space(self: VideoWriter) -> None:
    raise HwrtError("it could not be written to its end")


def test_a_video_that_is_not_saved_whole_is_in_the_document(
    call: Call, film: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    monkeypatch.setattr("hwrt.cli.run_saving.VideoWriter.close", without_space)

    code, out, err = call("detector.onnx", film, "--save", tmp_path / "out", "--json")

    assert (2, "hwrt: it could not be written to its end\n") == (code, err)
    assert "it could not be written to its end" == json.loads(out)["error"]


def test_a_camera_that_is_not_saved_whole_does_not_end_in_order(
    call: Call, live: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    monkeypatch.setattr("hwrt.cli.run_saving.VideoWriter.close", without_space)

    code, out, err = call("detector.onnx", "0", "--save", tmp_path / "out", "--json")

    assert (2, "hwrt: it could not be written to its end\n") == (code, err)
    assert "error" in json.loads(out)


def test_two_videos_are_saved_apart(call: Call, film: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    (tmp_path / "other").mkdir()
    second = tmp_path / "other" / "film.mp4"
    second.write_bytes(film.read_bytes())

    call("detector.onnx", film, second, "--save", tmp_path / "out")

    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert ["film-2.mp4", "film.mp4"] == names


def test_ctrl_c_ends_a_camera_in_order(call: Call, live: Any, tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")

    code, out, err = call("detector.onnx", "0", "--json", "--save", tmp_path / "out")

    document = json.loads(out)
    assert (0, "") == (code, err)
    assert ([(0, "0")], ["0"]) == (live.opened, live.closed)
    assert [0, 1] == [entry["frame"] for entry in document["results"]][:2]
    assert "error" not in document
    assert ["camera-0.mp4"] == [path.name for path in (tmp_path / "out").iterdir()]


def test_ctrl_c_in_a_video_file_is_code_130_and_the_document_is_whole(
    call: Call, film: Path, live: Any
) -> None:
    code, out, err = call("detector.onnx", film, "--json")

    document = json.loads(out)
    assert (130, "hwrt: interrupted") == (code, err.strip())
    assert "interrupted" == document["error"]
    assert [str(film)] == live.closed


def test_a_stream_that_breaks_off_says_so_and_is_code_1(call: Call, live: Any) -> None:
    live.end = broken("rtsp://camera/1")

    code, out, err = call("detector.onnx", "rtsp://camera/1", "--json")

    document = json.loads(out)
    assert 1 == code
    assert "hwrt run: the video 'rtsp://camera/1' broke off after 3 frames\n" == err
    assert [0, 1, 2] == [entry["frame"] for entry in document["results"]]
    assert "broke off after 3 frames" in document["error"]


def test_a_stream_that_breaks_off_at_once_leaves_a_whole_document(
    call: Call, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frames(_: Any) -> Any:
        yield from ()
        raise broken("front")

    monkeypatch.setattr(live, "frames", frames)

    code, out, _ = call("detector.onnx", "0", "--json")

    document = json.loads(out)
    assert (1, []) == (code, document["results"])
    assert "'front' broke off" in document["error"]


def test_the_sources_after_one_that_broke_off_are_looked_at(
    call: Call, live: Any, tmp_path: Path
) -> None:
    live.end = broken("it")

    code, out, _ = call("detector.onnx", "rtsp://camera/1", "rtsp://camera/2", "--json")

    assert 1 == code
    assert 6 == len(json.loads(out)["results"])


def test_a_password_is_not_shown(call: Call, live: Any) -> None:
    live.end = broken("rtsp://me:***@camera/1")

    _, out, err = call("detector.onnx", "rtsp://me:secret@camera/1")

    assert [("rtsp://me:secret@camera/1", "rtsp://me:***@camera/1")] == live.opened
    assert "secret" not in out + err
    assert "rtsp://me:***@camera/1 #0" in out


def test_a_password_with_an_at_sign_is_not_shown(call: Call, live: Any) -> None:
    live.end = broken("rtsp://me:***@camera/@1")

    _, out, err = call("detector.onnx", "rtsp://me:sec@ret@camera/@1")

    assert [("rtsp://me:sec@ret@camera/@1", "rtsp://me:***@camera/@1")] == live.opened
    assert "ret" not in out + err


def test_the_password_of_an_address_that_is_refused_is_not_shown(call: Call) -> None:
    code, _, err = call("detector.onnx", "ftp://me:secret@camera/1")

    assert 2 == code
    assert "'ftp://me:***@camera/1': an address begins with" in err


def test_a_file_named_as_a_number_is_an_image(
    call: Call, live: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "b.png").rename("0")

    code, out, _ = call("detector.onnx", "0")

    assert (0, [], True) == (code, live.opened, "0 (32x16):" in out)


@pytest.mark.parametrize("name", ["film.mp4", "film.WMV", "film.flv", "film.3gp"])
def test_a_video_that_can_not_be_opened_is_one_line_and_code_2(
    call: Call, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("no film")

    code, out, err = call("detector.onnx", tmp_path / name, "--json")

    assert (2, "", 1) == (code, out, err.count("\n"))
    assert "can not be opened" in err


def test_without_opencv_a_video_is_one_line_that_names_the_extra(
    call: Call, film: Path, loads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)

    code, _, err = call("detector.onnx", film)

    assert (2, 1, []) == (code, err.count("\n"), loads)
    assert "extra 'video'" in err


def test_without_pillow_a_video_can_be_looked_at_and_not_saved(
    call: Call, film: Path, loads: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)

    code, _, err = call("detector.onnx", film, "--save", tmp_path / "out")
    loaded = list(loads)

    assert (2, []) == (code, loaded)
    assert "extra 'image'" in err
    assert 0 == call("detector.onnx", film)[0]


def test_a_batch_takes_as_many_frames_at_once(call: Call, film: Path, loads: Any) -> None:
    code, out, _ = call("detector.onnx", film, "--batch", "2", "--json")

    assert [{"shapes": {"images": (2, 3, 8, 8)}}] == loads
    assert [0, 1, 2, 3, 4] == [entry["frame"] for entry in json.loads(out)["results"]]
    assert 0 == code


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error from now on; the rate is renewed with every frame."""
    terminal = Terminal()
    monkeypatch.setattr("hwrt.cli.frame_rate._SHOWN_EVERY_S", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_the_rate_is_shown_on_a_terminal_and_goes_before_the_next_line(
    call: Call, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = watched(monkeypatch)
    live.end = broken("it")

    call("detector.onnx", "0")

    assert "frames/s, 3 frames" in terminal.getvalue()
    assert "\r\x1b[Khwrt run: the video" in terminal.getvalue()


def test_the_rate_is_gone_at_the_end(
    call: Call, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = watched(monkeypatch)

    call("detector.onnx", film)

    assert terminal.getvalue().endswith("frames/s, 5 frames\r\x1b[K")


def test_images_have_no_rate(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)

    call("detector.onnx", folder)

    assert "" == terminal.getvalue()


def test_nothing_of_the_rate_is_written_into_a_pipe(call: Call, film: Path) -> None:
    _, out, err = call("detector.onnx", film)

    assert "frames/s" not in out + err


def test_an_error_between_frames_leaves_a_whole_document(call: Call, folder: Path) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")

    code, out, err = call("detector.onnx", folder / "b.png", folder / "notes.txt", "--json")

    document = json.loads(out)
    assert (2, 1) == (code, len(document["results"]))
    assert "notes.txt" in document["error"]
    assert "notes.txt" in err
