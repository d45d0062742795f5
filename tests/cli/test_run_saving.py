"""Where ``hwrt run --save`` writes images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.cli.run_saving import targets_of
from hwrt.cli.run_sources import Source

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def test_save_writes_the_images_with_boxes(call: Any, folder: Path, tmp_path: Path) -> None:
    code, out, _ = call("detector.onnx", folder, "--save", tmp_path / "out", "--json")

    saved = [entry["saved"] for entry in json.loads(out)["results"]]
    assert 0 == code
    assert [str(tmp_path / "out" / "a.JPG"), str(tmp_path / "out" / "b.png")] == saved
    assert np.asarray(Image.open(tmp_path / "out" / "b.png")).any()


def test_two_images_of_one_name_are_both_saved(call: Any, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.png").write_bytes((folder / "b.png").read_bytes())

    call("detector.onnx", folder / "b.png", other, "--save", tmp_path / "out")

    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert ["b-2.png", "b.png"] == names


def test_a_number_that_another_image_bears_is_passed_over(
    call: Any, folder: Path, tmp_path: Path
) -> None:
    names = ["x/b.png", "y/b.png", "z/b-2.png", "z/b.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((folder / "b.png").read_bytes())

    code, out, _ = call(
        "detector.onnx", *(tmp_path / name for name in names), "--save", tmp_path / "o", "--json"
    )

    saved = [Path(entry["saved"]).name for entry in json.loads(out)["results"]]
    assert (0, ["b.png", "b-2.png", "b-2-2.png", "b-3.png"]) == (code, saved)


def test_a_folder_to_save_in_whose_name_is_too_long_is_one_line_and_code_2(
    call: Any, folder: Path, tmp_path: Path, loads: Any
) -> None:
    code, _, err = call("detector.onnx", folder, "--save", tmp_path / ("a" * 300))

    assert (2, 1, []) == (code, err.count("\n"), loads)
    assert "--save" in err


def test_save_finds_names_for_thousands_of_images_in_as_many_steps(tmp_path: Path) -> None:
    sources = [Source(Path(f"{i}/a.png"), is_video=False) for i in range(3000)]
    asked = []

    class Folder(type(tmp_path)):  # type: ignore[misc]
        def __truediv__(self, name: str) -> Path:
            asked.append(name)
            return tmp_path / name

    targets = targets_of(sources, Folder(tmp_path))

    assert 3000 == len(set(targets.values())) == len(asked)


def test_save_does_not_overwrite_a_source(call: Any, folder: Path) -> None:
    before = (folder / "b.png").read_bytes()

    code, _, err = call("detector.onnx", folder, "--save", folder)

    assert 2 == code
    assert "would overwrite" in err
    assert before == (folder / "b.png").read_bytes()


def test_save_does_not_overwrite_what_the_folder_holds(
    call: Any, folder: Path, tmp_path: Path, loads: Any
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_bytes(b"mine")

    code, _, err = call("detector.onnx", folder, "--save", tmp_path / "out")

    assert (2, []) == (code, loads)
    assert "would overwrite" in err
    assert b"mine" == (tmp_path / "out" / "b.png").read_bytes()


def test_save_does_not_write_over_a_dangling_link(call: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").symlink_to(tmp_path / "elsewhere")

    assert 2 == call("detector.onnx", folder, "--save", tmp_path / "out")[0]
