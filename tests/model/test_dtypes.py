from __future__ import annotations

import sys

import numpy as np
import pytest

from hwrt.errors import UnsupportedModel
from hwrt.model.dtypes import dtype_named


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float64, np.complex64, np.uint8, np.int64, np.bool_, np.object_]
)
def test_numpy_dtypes_are_found_by_their_names(dtype: type[np.generic]) -> None:
    assert np.dtype(dtype) == dtype_named(np.dtype(dtype).name, owner="x")


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "int4", "uint4"])
def test_dtypes_of_ml_dtypes_are_found_by_their_names(name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")

    assert np.dtype(getattr(ml_dtypes, name)) == dtype_named(name, owner="x")


@pytest.mark.parametrize("name", ["float5", "__name__", "finfo_", ""])
def test_a_name_that_nobody_has_is_unsupported(name: str) -> None:
    pytest.importorskip("ml_dtypes")

    with pytest.raises(UnsupportedModel, match="input 'x' has the type"):
        dtype_named(name, owner="input 'x'")


def test_without_ml_dtypes_the_remedy_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)

    with pytest.raises(UnsupportedModel) as caught:
        dtype_named("bfloat16", owner="input 'x'")

    assert "pip install ml_dtypes" == caught.value.hint
