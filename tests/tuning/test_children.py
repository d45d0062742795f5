from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from hwrt.errors import InputError
from hwrt.tuning.children import Child

Install = Callable[..., None]
PROBE = {"timeout_s": 60.0, "backend": "good", "model": None, "limits": {"threads": 1}}


@pytest.fixture
def many_open_files() -> Iterator[None]:
    """Descriptors up to 1100 are taken, as in a server."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 2048:
        pytest.skip(f"this user may open no more than {before[1]} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 2048), before[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for descriptor in held:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_child_whose_question_is_interrupted_is_ended(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    install("Good")
    child = Child("good")
    monkeypatch.setattr(child, "_receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        child.ask("probe", **PROBE)

    assert not Path(f"/proc/{child._process.pid}").exists()


def test_a_file_in_the_current_folder_hides_no_module_from_a_child(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good")
    (tmp_path / "json.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    child = Child("good")
    answer = child.ask("probe", **PROBE)
    child.close()

    assert answer["formats"] == ["onnx"]


def test_the_interpreter_that_hwrt_python_names_uses_its_own_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hwrt.py").write_text("raise RuntimeError('of the frozen application')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HWRT_PYTHON", sys.executable)
    child = Child("nosuch")
    with pytest.raises(InputError, match="there is no backend 'good'"):
        child.ask("probe", **PROBE)
    child.close()


@pytest.mark.usefixtures("many_open_files")
def test_a_process_with_many_open_files_has_children_too(install: Install) -> None:
    install("Good")
    child = Child("good")
    answer = child.ask("probe", **PROBE)
    child.close()

    assert answer["formats"] == ["onnx"]
