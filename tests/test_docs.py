"""What the documents say is so."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hwrt
from hwrt import registry

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.fixture
def guide_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Installs the backend of adding_a_backend.md, as pip would; its name."""
    files = re.findall(
        r"`hwrt-plainnumpy/([\w./]+)`:\n\n```\w+\n(.*?)```", read("adding_a_backend.md"), re.DOTALL
    )
    for name, text in files:
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    entry = re.search(r'\[project\.entry-points\."hwrt\.backends"\]\n(\w+) = "(.+)"', files[0][1])
    assert entry is not None
    metadata = tmp_path / "site" / "hwrt_plainnumpy-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: hwrt-plainnumpy\nVersion: 0.1.0\n"
    )
    (metadata / "entry_points.txt").write_text(f"[hwrt.backends]\n{entry[1]} = {entry[2]}\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(registry, "_found", None)
    monkeypatch.setattr(registry, "_instances", {})
    yield entry[1]
    sys.modules.pop("hwrt_plainnumpy", None)


@pytest.fixture
def add_and_relu(tmp_path: Path) -> Path:
    tensors = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "aby"
    }
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Relu", ["sum"], ["y"])]
    graph = helper.make_graph(nodes, "relu_add", [tensors["a"], tensors["b"]], [tensors["y"]])
    path = tmp_path / "relu_add.onnx"
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[opset]), path)
    return path


def test_the_guides_backend_is_chosen_and_answers_rightly(
    guide_backend: str, add_and_relu: Path
) -> None:
    a, b = np.ones((2, 4), "f4"), -np.arange(8, dtype="f4").reshape(2, 4)
    with hwrt.load(add_and_relu, backend=guide_backend, budget_s=0.1) as session:
        outputs = session.run({"a": a, "b": b})

        assert session.plan.backend == guide_backend
        np.testing.assert_array_equal(np.maximum(a + b, 0), outputs["y"])


def test_the_guides_backend_passes_doctors_check(guide_backend: str) -> None:
    from hwrt.cli.checkup import check_backend

    checked = check_backend(guide_backend)

    assert (checked.status, checked.reason, checked.findings) == ("ok", None, ())


def test_the_guides_backend_keeps_fixed_outputs_in_place(
    guide_backend: str, add_and_relu: Path
) -> None:
    shapes = {"a": (1, 4), "b": (1, 4)}
    with hwrt.load(
        add_and_relu, backend=guide_backend, options={"threads": 1}, shapes=shapes
    ) as session:
        request = session.request()
        request.run()
        y = request.outputs["y"]
        request.inputs["a"][...] = 3
        request.run()

        np.testing.assert_array_equal(np.full((1, 4), 3, "f4"), y)


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
    pattern = re.compile(r"""(?:environ\.get\(|environ\[|getenv\(|environment\.get\()["'](\w+)""")
    used = {name for path in sources for name in pattern.findall(path.read_text(encoding="utf-8"))}
    told = set(re.findall(r"^\| `(\w+)` \|", read("install.md"), re.MULTILINE))

    assert used - {"XDG_CACHE_HOME"} <= told
    assert {name for name in told if name.startswith("HWRT_")} <= used


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
