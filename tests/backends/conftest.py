from __future__ import annotations

import pytest

_MODULES = ("checking", "contract", "contract_compile", "contract_request")
pytest.register_assert_rewrite(*(f"tests.backends.{name}" for name in _MODULES))
