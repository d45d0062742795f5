"""What ``hwrt run`` prints and saves of a segmentation model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

SEGMENT = ["--task", "segment"]


def test_the_share_of_each_class_is_listed_largest_first(call: Any, folder: Path) -> None:
    code, out, err = call("segmenter.onnx", folder / "b.png")

    assert (0, "") == (code, err)
    assert [
        "segmenter.onnx: segment on fake, cpu:0, f32",
        f"{folder / 'b.png'} (32x16):",
        "   75.0%  cat",
        "   25.0%  dog",
    ] == out.splitlines()


def test_json_has_the_share_of_each_class(call: Any, folder: Path) -> None:
    _, out, _ = call("segmenter.onnx", folder / "b.png", "--json")

    document = json.loads(out)
    assert "segment" == document["task"]
    assert [
        {
            "source": str(folder / "b.png"),
            "width": 32,
            "height": 16,
            "classes": [
                {"class": 0, "label": "cat", "share": 0.75},
                {"class": 1, "label": "dog", "share": 0.25},
            ],
        }
    ] == document["results"]


@pytest.mark.parametrize("options", [[], SEGMENT])
def test_save_writes_the_classes_as_the_pixels_of_a_png_with_a_palette(
    call: Any, folder: Path, tmp_path: Path, options: list[str]
) -> None:
    _, out, _ = call(
        "segmenter.onnx", folder / "a.JPG", "--save", tmp_path / "o", "--json", *options
    )

    saved = Path(json.loads(out)["results"][0]["saved"])
    image = Image.open(saved)
    pixels = np.asarray(image)
    assert (tmp_path / "o" / "a.png", "P", (16, 32)) == (saved, image.mode, pixels.shape)
    assert (pixels == (np.arange(32) >= 24)).all()
    assert [0, 0, 0, 128, 0, 0] == image.getpalette()[:6]


def test_images_of_one_name_are_saved_beside_each_other(
    call: Any, folder: Path, tmp_path: Path
) -> None:
    (folder / "a.png").write_bytes((folder / "b.png").read_bytes())

    call("segmenter.onnx", folder, "--save", tmp_path / "o")

    names = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert ["a-2.png", "a.png", "b.png"] == names


def test_a_map_is_not_written_over_an_image(call: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")

    code, _, err = call("segmenter.onnx", folder / "a.JPG", "--save", tmp_path)

    assert (2, b"mine") == (code, (tmp_path / "a.png").read_bytes())
    assert "would overwrite" in err
