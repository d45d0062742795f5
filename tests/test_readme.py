"""The README's example does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import hwrt

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_ten_lines_of_python_run(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    example, _ = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)

    names: dict[str, Any] = {}
    exec(compile(example, str(README), "exec"), names)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("(1, 1000) on ")
    assert len(lines) == 1 + len(names["session"].plan.measurements) > 2
    assert all(" ok " in line for line in lines[1:])


def test_the_detector_example_runs(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    read_image = pytest.importorskip("hwrt.vision.images").read_image
    _, example = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(shared / "models")
    names = {"hwrt": hwrt, "frame": read_image(shared / "images" / "bus.jpg")}

    exec(compile(example, str(README), "exec"), names)

    assert sorted(set(names["found"].labels)) == ["bus", "person"]


def test_every_linked_file_is_there() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))

    assert targets
    assert [target for target in targets if not (README.parent / target).is_file()] == []
