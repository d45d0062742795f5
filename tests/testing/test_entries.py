from __future__ import annotations

import subprocess
import sys
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from hwrt.testing.entries import formats_of, keys_of, reason_for
from hwrt.testing.summary import counts


def item(name: str, **parameters: Any) -> Any:
    callspec = SimpleNamespace(params=parameters) if parameters else None
    made = SimpleNamespace(name=name, originalname=name.partition("[")[0])
    if callspec is not None:
        made.callspec = callspec
    return made


@pytest.mark.parametrize(
    "name", ["test_x[onnx-(0, 3)]", "test_x[(0, 3)-onnx]"], ids=["first", "last"]
)
def test_entry_names_test_format_parameter_or_both(name: str) -> None:
    keys = keys_of(item(name, model_format="onnx", shape=(0, 3)))

    assert {"test_x", "test_x[onnx]", "test_x[(0, 3)]", "test_x[onnx-(0, 3)]"} <= keys


def test_parameter_with_dashes_keeps_them() -> None:
    keys = keys_of(item("test_x[onnx-{'x': (-1, 3)}-b]", model_format="onnx", shapes={}))

    assert "test_x[{'x': (-1, 3)}-b]" in keys


def test_test_without_parameters_is_named_by_itself_alone() -> None:
    assert keys_of(item("test_x")) == {"test_x"}


def test_reason_is_that_of_the_entry_that_fits() -> None:
    listed = {"test_x[tflite]": "no such operator", "test_y": "never"}

    assert reason_for(item("test_x[tflite]", model_format="tflite"), listed) == "no such operator"
    assert reason_for(item("test_x[onnx]", model_format="onnx"), listed) is None


def test_formats_are_those_that_are_read_and_written() -> None:
    pytest.importorskip("hwrt_openvino")

    class Suite:
        @pytest.fixture
        def backend(self) -> Any:
            from hwrt_openvino import OpenVino

            return OpenVino()

    assert formats_of(Suite, ["onnx", "tflite", "om"]) == ["onnx", "tflite"]


def test_formats_are_all_where_the_backend_needs_other_fixtures() -> None:
    class Suite:
        @pytest.fixture
        def backend(self, tmp_path: Any) -> Any:
            raise AssertionError("called without its fixture")

    assert formats_of(Suite, ["tflite", "onnx"]) == ["onnx", "tflite"]


def report(vendor: str | None, reason: str = "") -> Any:
    properties = [] if vendor is None else [("conformance", vendor)]
    return SimpleNamespace(user_properties=properties, longrepr=("file", 1, f"Skipped: {reason}"))


def test_summary_tells_apart_why_tests_were_skipped() -> None:
    skipped = ["unsupported: a", "refused: b", "refused: c", "tflite: d", "this CPU has no bf16"]
    stats = {
        "passed": [report("mine"), report("mine"), report(None)],
        "failed": [report("other")],
        "skipped": [report("mine", reason) for reason in skipped],
    }

    assert counts(stats) == {
        "mine": Counter(
            {"passed": 2, "unsupported": 1, "refused": 2, "lacking in the format": 1, "skipped": 1}
        ),
        "other": Counter({"failed": 1}),
    }


def test_models_are_written_without_importing_pytest_or_a_vendor() -> None:
    code = (
        "import sys, hwrt.testing as t, pathlib, tempfile; "
        "f = pathlib.Path(tempfile.mkdtemp()); t.write_tflite(t.graphs.relu(), f / 'm.tflite'); "
        "print([m for m in ('pytest', 'onnx', 'onnxruntime', 'ai_edge_litert') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_everything_public_is_there() -> None:
    import hwrt.testing

    assert all(hasattr(hwrt.testing, name) for name in hwrt.testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Bogus'"):
        _ = hwrt.testing.Bogus
