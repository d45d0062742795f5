"""The template is a whole distribution: pip brings it to hwrt and takes it away again."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hwrt.testing import graphs, write_onnx

from .conftest import Environment

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("hwrt_null")
SOURCES = sorted((TEMPLATE / "hwrt_null").glob("*.py"))


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_template_imports_the_contract_and_itself_alone(path: Path) -> None:
    names = {name for node in ast.walk(ast.parse(path.read_text())) for name in imported(node)}
    of_hwrt = {name for name in names if name.split(".")[0] == "hwrt"}
    others = {name.split(".")[0] for name in names} - {"hwrt", "hwrt_null", "numpy"}

    assert of_hwrt <= {"hwrt.backend"}
    assert others <= sys.stdlib_module_names


def test_the_templates_suite_is_skipped_with_its_reason_where_the_vendor_is_absent(
    tmp_path: Path,
) -> None:
    shutil.copytree(TEMPLATE, tmp_path / "plugin")
    absent = "raise ModuleNotFoundError('No module named onnx', name='onnx')"
    (tmp_path / "plugin" / "onnx.py").write_text(absent)
    variables = {**os.environ, "PYTHONPATH": str(tmp_path / "plugin")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "plugin",
        env=variables,
        capture_output=True,
        text=True,
    )

    assert re.search(r"^SKIPPED \[1\] .*: onnx is not installed$", done.stdout, re.MULTILINE)
    assert done.stdout.splitlines()[-1].startswith("1 skipped in ")


@pytest.mark.slow
def test_the_template_is_typed_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "hwrt_null"]
    # mypy does not see through an editable install of hwrt.
    variables = {**os.environ, "MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=TEMPLATE, env=variables, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_pip_brings_the_template_to_hwrt_and_takes_it_away(
    environment: Environment, tmp_path: Path
) -> None:
    # pip builds in the folder that it is given.
    shutil.copytree(TEMPLATE, tmp_path / "hwrt_null")
    model = write_onnx(graphs.relu((1, 16)), tmp_path / "relu.onnx")

    def ask(command: str) -> Any:
        return json.loads(environment.shell(command, tmp_path))

    def backends() -> dict[str, Any]:
        return {found["name"]: found for found in ask("hwrt doctor --json")["backends"]}

    before = backends()
    environment.shell("pip install ./hwrt_null", tmp_path)
    beside = backends()
    report = ask(f"hwrt bench {model} --backend null --json")
    environment.shell("pip uninstall -y hwrt-null", tmp_path)

    assert beside["null"]["status"] == "ok"
    assert beside.keys() == {*before, "null"}
    assert [(result["backend"], result["status"]) for result in report["results"]] == [
        ("null", "ok")
    ]
    assert backends().keys() == before.keys()
