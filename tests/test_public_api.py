"""What users may rely on, and what importing it costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

import hwrt

PUBLIC = [
    "AccuracyGate",
    "BackendError",
    "BackendFailure",
    "BackendStatus",
    "BackendUnavailable",
    "Device",
    "HwrtError",
    "InputError",
    "ModelError",
    "ModelInfo",
    "NoBackend",
    "Options",
    "Plan",
    "Range",
    "Session",
    "SessionError",
    "TensorSpec",
    "UnsupportedModel",
    "__version__",
    "backend",
    "backends",
    "errors",
    "inspect",
    "load",
    "tune",
    "vision",
    "zoo",
]


def test_the_public_names_are_these() -> None:
    assert sorted(hwrt.__all__) == sorted(PUBLIC)


def test_every_public_name_can_be_had() -> None:
    assert [name for name in hwrt.__all__ if getattr(hwrt, name) is None] == []


def test_every_public_name_has_a_docstring() -> None:
    values = {name: getattr(hwrt, name) for name in hwrt.__all__ if name != "__version__"}

    assert [name for name, value in values.items() if not inspect.getdoc(value)] == []


@pytest.mark.parametrize("first", ["load", "Session", "Plan", "vision"])
def test_tune_is_a_function_whatever_was_used_before(first: str) -> None:
    code = f"import hwrt; hwrt.{first}; print(callable(hwrt.tune), callable(hwrt.inspect))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "True True\n"


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    assert not hasattr(hwrt, "does_not_exist")


def test_importing_hwrt_loads_numpy_at_most() -> None:
    code = (
        "import json, sys, numpy; before = set(sys.modules); import hwrt; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(json.dumps(sorted(new - sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert json.loads(done.stdout) == ["hwrt"]


def test_the_names_used_first_load_neither_vendor_nor_heavy_module() -> None:
    code = (
        "import json, sys, hwrt; hwrt.load, hwrt.tune, hwrt.Session, hwrt.backends, hwrt.inspect; "
        "heavy = 'onnxruntime openvino onnx rich numba click PIL cv2'.split(); "
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert json.loads(done.stdout) == []


def test_the_plugin_contract_exports_what_it_names() -> None:
    import hwrt.backend as contract

    assert [name for name in contract.__all__ if not hasattr(contract, name)] == []
