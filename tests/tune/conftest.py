from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hwrt import registry

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs classes of faulty_backends.py as the only backends, as pip would."""

    def install_backends(*classes: str) -> None:
        site = tmp_path / "site-packages"
        metadata = site / "faulty_backends-1.0.dist-info"
        metadata.mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("faulty_backends.py"), site)
        (metadata / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: faulty-backends\nVersion: 1.0\n"
        )
        lines = [f"{name.lower()} = faulty_backends:{name}" for name in classes]
        (metadata / "entry_points.txt").write_text("\n".join(["[hwrt.backends]", *lines]))
        monkeypatch.syspath_prepend(site)
        monkeypatch.setenv("HWRT_BACKENDS", ",".join(name.lower() for name in classes))
        monkeypatch.setattr(registry, "_found", None)
        monkeypatch.setattr(registry, "_instances", {})

    return install_backends
