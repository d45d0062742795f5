from __future__ import annotations

import builtins
import dataclasses
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.errors import HwrtError, InputError
from hwrt.vision import Classification, Detections, Segmentation
from hwrt.vision.images import draw, read_image, write_classes, write_image

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

FRAME = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
DETECTIONS = Detections(
    boxes=np.array([[10, 30, 50, 60]], dtype=np.float32),
    scores=np.array([0.5], dtype=np.float32),
    classes=np.array([3], dtype=np.int32),
    labels=("fjäril",),
)


def test_an_image_is_written_and_read_back(tmp_path: Path) -> None:
    write_image(FRAME, tmp_path / "folder" / "a.png")

    frame = read_image(tmp_path / "folder" / "a.png")

    np.testing.assert_array_equal(FRAME, frame)
    assert ["a.png"] == [path.name for path in (tmp_path / "folder").iterdir()]


def test_an_image_is_turned_as_its_exif_data_say(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(FRAME).save(tmp_path / "a.png", exif=exif)

    np.testing.assert_array_equal(np.rot90(FRAME, -1), read_image(tmp_path / "a.png"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_8_bit_image_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.tiff"
    Image.fromarray(np.full((4, 6, 3), 255, np.uint8)).convert(mode).save(path)

    frame = read_image(path)

    np.testing.assert_array_equal(np.full((4, 6, 3), 255, np.uint8), frame)


def test_an_image_of_16_bits_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 40_000, np.uint16)).save(tmp_path / "a.png")

    with pytest.raises(InputError, match="8 bits a channel"):
        read_image(tmp_path / "a.png")


def test_an_image_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no image .*a\.png"):
        read_image(tmp_path / "a.png")


def test_a_file_that_is_no_image_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")

    with pytest.raises(InputError, match="no image that Pillow knows"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_a_truncated_image_is_an_error(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / f"a{suffix}"
    write_image(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(InputError, match=r"can not be read|no image"):
        read_image(path)


def test_what_pillow_warns_of_is_read_and_not_shown(tmp_path: Path) -> None:
    palette = Image.fromarray(FRAME).convert("P")
    palette.save(tmp_path / "a.png", transparency=bytes(range(256)))

    frame = read_image(tmp_path / "a.png")

    np.testing.assert_array_equal(palette.convert("RGB"), frame)


def test_a_large_image_is_read_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(FRAME, tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", FRAME.size // 3 - 1)

    np.testing.assert_array_equal(FRAME, read_image(tmp_path / "a.png"))


def test_a_huge_image_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(FRAME, tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)

    with pytest.raises(InputError, match=r"is too large: .*24 pixels.* of fewer pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("fault", [RuntimeError, NotImplementedError, struct.error, TypeError])
def test_whatever_a_reader_of_damaged_files_raises_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    write_image(FRAME, tmp_path / "a.png")

    def fail(*_: Any) -> None:
        raise fault("odd")

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", fail)

    with pytest.raises(InputError, match="can not be read: odd"):
        read_image(tmp_path / "a.png")


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")

    with pytest.raises(InputError, match="can not be read: it is no file"):
        read_image(tmp_path / "pipe.png")


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can not be read"):
        read_image(tmp_path)


def test_without_pillow_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_pillow(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pillow)

    with pytest.raises(HwrtError, match="pip install pillow"):
        read_image(Path("a.png"))


def test_a_suffix_without_a_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.xyz"):
        write_image(FRAME, tmp_path / "a.xyz")


@pytest.mark.parametrize(("suffix", "side"), [(".webp", 16384), (".jpg", 65536)])
def test_an_image_longer_than_its_format_allows_is_an_error(
    tmp_path: Path, suffix: str, side: int
) -> None:
    with pytest.raises(HwrtError, match=f"{side}x1 pixels can not be written .*png"):
        write_image(np.zeros((1, side, 3), np.uint8), tmp_path / f"a{suffix}")


def test_a_folder_that_can_not_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(HwrtError, match="can not be written"):
        write_image(FRAME, tmp_path / "file" / "a.png")


def test_boxes_are_drawn_into_a_copy() -> None:
    frame = np.zeros((80, 80, 3), np.uint8)

    drawn = draw(frame, DETECTIONS)

    assert not frame.any()
    assert drawn[60, 10:51].any(axis=1).all()
    assert not drawn[61:].any()


def test_a_box_at_the_frames_edge_is_drawn() -> None:
    found = Detections(
        boxes=np.array([[0, 0, 80, 80], [5, 5, 5, 5]], dtype=np.float32),
        scores=np.array([0.5, 0.25], dtype=np.float32),
        classes=np.array([3, 80], dtype=np.int32),
        labels=("a", "b"),
    )

    drawn = draw(np.zeros((80, 80, 3), np.uint8), found)

    assert drawn[:, 0].any(axis=1).all()


@pytest.mark.parametrize(
    "box", [(50, 60, 10, 30), (10, 60, 50, 30), (-np.inf, 30, np.inf, 60), (np.nan, 30, 50, 60)]
)
def test_boxes_that_a_broken_model_gives_are_drawn_within_the_frame(box: Any) -> None:
    found = dataclasses.replace(DETECTIONS, boxes=np.array([box], np.float32))

    drawn = draw(np.zeros((80, 80, 3), np.uint8), found)

    assert drawn[60, 10:50].any(axis=1).all()
    assert not drawn[61:].any()


def test_classes_are_written_into_a_copy() -> None:
    found = Classification(
        classes=np.array([1], dtype=np.int32),
        scores=np.array([0.75], dtype=np.float32),
        labels=("dog",),
    )
    frame = np.zeros((80, 200, 3), np.uint8)

    assert draw(frame, found)[:20].any()
    assert not frame.any()


def test_nothing_found_leaves_the_frame_as_it_is() -> None:
    none = Detections(
        boxes=np.empty((0, 4), np.float32),
        scores=np.empty(0, np.float32),
        classes=np.empty(0, np.int32),
        labels=(),
    )

    np.testing.assert_array_equal(FRAME, draw(FRAME, none))


def test_the_colours_of_classes_are_laid_over_a_copy() -> None:
    found = Segmentation(classes=np.array([[0, 1, 255]], np.uint8), labels=("floor", "cat"))
    frame = np.full((1, 3, 3), 200, np.uint8)

    drawn = draw(frame, found)

    assert [[100, 100, 100], [164, 100, 100], [212, 212, 196]] == drawn[0].tolist()
    assert (frame == 200).all()


def test_classes_are_the_pixels_of_the_file(tmp_path: Path) -> None:
    classes = np.arange(256, dtype=np.uint8).reshape(8, 32)

    write_classes(classes[:, ::2], tmp_path / "map.png")

    with Image.open(tmp_path / "map.png") as image:
        assert "P" == image.mode
        np.testing.assert_array_equal(np.asarray(image), classes[:, ::2])
        assert [224, 224, 192] == image.getpalette()[-3:]


def test_a_map_that_can_not_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(HwrtError, match="can not be written"):
        write_classes(np.zeros((2, 2), np.uint8), tmp_path / "file" / "map.png")
