"""What the documents say is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from hwrt.testing import BackendConformance

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_layers_are_those_of_the_test() -> None:
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8"))
    layers = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    )
    table = re.search(r"## Layers.*?```\n(.*?)```", read("architecture.md"), re.DOTALL)

    assert table is not None
    assert [set(row) for row in layers] == [set(row.split()) for row in table[1].splitlines()]


def test_every_environment_variable_is_in_the_table() -> None:
    sources = [
        *(ROOT / "hwrt").rglob("*.py"),
        *(ROOT / "csrc").rglob("target.cpp"),
        ROOT / "setup.py",
        ROOT / "tests" / "conftest.py",
    ]
    reads = r"environ\.get\(|environ\[|getenv\(|environment\.get\(|ParallelCompile\("
    pattern = re.compile(rf"""(?:{reads})["'](\w+)""")
    used = {name for path in sources for name in pattern.findall(path.read_text(encoding="utf-8"))}
    told = set(re.findall(r"^\| `(\w+)` \|", read("install.md"), re.MULTILINE))

    assert used - {"XDG_CACHE_HOME"} <= told
    assert {name for name in told if name.startswith("HWRT_")} <= used


def test_the_guides_entries_of_unsupported_name_tests_of_the_suite() -> None:
    example = re.search(
        r"^unsupported = (\{.*?^\})", read("adding_a_backend.md"), re.DOTALL | re.MULTILINE
    )
    assert example is not None
    tests = [entry.partition("[")[0] for entry in ast.literal_eval(example[1])]

    assert [test for test in tests if not hasattr(BackendConformance, test)] == []


def test_every_extra_is_in_the_table() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    table = read("install.md").partition("## Extras")[2].partition("\n## ")[0]

    assert set(re.findall(r"^(\w+) = \[", section, re.MULTILINE)) == set(
        re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_linked_file_is_there(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]

    assert [target for target in local if not (document.parent / target).is_file()] == []
