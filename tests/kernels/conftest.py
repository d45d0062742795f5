from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .forms import FORMS, form


@pytest.fixture(params=FORMS)
def kernels(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The kernels in one form: the extension at one target, or NumPy."""
    with form(request.param) as module:
        yield module


@pytest.fixture(autouse=True)
def _own_cache() -> None:
    """None: the kernels keep nothing, and folders for thousands of tests take their time."""
