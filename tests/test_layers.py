"""Imports point down the layer table, and hwrt never names a plugin."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A room may import the rooms of the rows below its own, itself, and no other.
LAYERS = (
    ("cli",),
    ("benchmark",),
    ("entry",),
    ("vision", "onnx_backend"),
    ("session", "loading"),
    ("tuning", "source"),
    ("registry", "measure", "testing", "zoo", "cache", "progress"),
    ("model", "machine", "kernels"),
    ("backend",),
    ("spec", "errors", "files", "memory", "arrays", "packing", "log", "text", "_kernels"),
    ("owners", "locks"),
)
LEVEL = {room: len(LAYERS) - i for i, row in enumerate(LAYERS) for room in row}
# Within one row: what may look at its neighbour, and why.
NEIGHBOURS = {
    ("loading", "session"),  # load makes sessions
    ("arrays", "errors"),  # what can not be read as an array is said where it is tried
    ("spec", "errors"),  # values are checked where they are made
    ("log", "errors"),  # likewise the variable HWRT_LOG
}
PLUGIN_FACE = {"hwrt.backend", "hwrt.errors"}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module is not None
            yield node.lineno, node.module
            if node.module == "hwrt":
                yield from ((node.lineno, f"hwrt.{alias.name}") for alias in node.names)


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "hwrt" and len(parts) > 1 else None


def core_files() -> list[Path]:
    return sorted((ROOT / "hwrt").rglob("*.py"))


def room_of_file(path: Path) -> str:
    return path.relative_to(ROOT / "hwrt").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_the_layers_below(path: Path) -> None:
    own = room_of_file(path)
    if own == "__init__":
        return
    assert own in LEVEL, f"{own} has no row in LAYERS"
    wrong = []
    for line, module in imports(path):
        other = room(module)
        if other is None or other == own or (own, other) in NEIGHBOURS or other == "__version__":
            continue
        if LEVEL.get(other, 99) >= LEVEL[own]:
            wrong.append(f"line {line}: {own} imports {module}")

    assert wrong == []


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_hwrt_never_names_a_plugin(path: Path) -> None:
    plugins = sorted(folder.name for folder in (ROOT / "backends").iterdir() if folder.is_dir())
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    names = {plugin.removeprefix("hwrt_") for plugin in plugins}
    found = [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and (node.value in names or any(plugin in node.value for plugin in plugins))
    ]

    assert found == []


def plugin_files() -> list[Path]:
    return sorted((ROOT / "backends").rglob("*.py"))


@pytest.mark.parametrize("path", plugin_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_the_contract_and_itself_alone(path: Path) -> None:
    own = path.relative_to(ROOT / "backends").parts[0]
    wrong = [
        f"line {line}: {module}"
        for line, module in imports(path)
        if module.startswith("hwrt") and module not in PLUGIN_FACE and module.split(".")[0] != own
    ]

    assert wrong == []


@pytest.mark.parametrize("path", plugin_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_its_vendor_inside_functions(path: Path) -> None:
    allowed = {"hwrt", "numpy", path.relative_to(ROOT / "backends").parts[0]}
    standard = __import__("sys").stdlib_module_names
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = [
        name.split(".")[0]
        for node in top
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [a.name for a in node.names]
        )
    ]

    assert [name for name in modules if name not in allowed and name not in standard] == []


def test_the_kernels_include_nothing_of_python() -> None:
    sources = [
        *(ROOT / "csrc" / "kernels").rglob("*.h"),
        *(ROOT / "csrc" / "kernels").rglob("*.cpp"),
    ]
    wrong = [
        f"{path.name}: {line}"
        for path in sources
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*#\s*include\s*[<\"](Python\.h|pybind11|numpy)", line)
    ]

    assert sources
    assert wrong == []


def test_a_layer_breach_is_seen(tmp_path: Path) -> None:
    breach = tmp_path / "breach.py"
    breach.write_text("import hwrt.session\nfrom hwrt import tune\n")

    assert [room(module) for _, module in imports(breach)] == ["session", None, "tune"]
