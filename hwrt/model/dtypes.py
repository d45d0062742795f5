"""NumPy's dtypes by name, those of ml_dtypes included."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwrt.errors import UnsupportedModel

__all__ = ["dtype_named"]

_NUMPY = frozenset(
    {"bool", "object", "complex64", "complex128", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


def dtype_named(name: str, *, owner: str) -> np.dtype[Any]:
    """The dtype of this name, "object" being that of strings.

    Raises UnsupportedModel, naming ``owner``, where neither NumPy nor ml_dtypes has it.
    """
    if name in _NUMPY:
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError:
        raise UnsupportedModel(
            f"{owner} has the type {name}, which NumPy alone lacks", hint="pip install ml_dtypes"
        ) from None
    scalar = getattr(ml_dtypes, name, None)
    if not isinstance(scalar, type):
        raise UnsupportedModel(
            f"{owner} has the type {name}, which ml_dtypes {ml_dtypes.__version__} lacks",
            hint="pip install --upgrade ml_dtypes",
        )
    return np.dtype(scalar)
