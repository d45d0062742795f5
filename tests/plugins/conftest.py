from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

# A distribution of its own, whose tests run where it is installed: see test_guide.py.
collect_ignore = ["hwrt_null"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees all that is installed here and reaches no network."""

    folder: Path
    variables: Mapping[str, str]

    def shell(self, script: str, folder: Path) -> str:
        """What the script prints; its first command that fails is an error."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=self.variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", symlinks=True)
    commands = folder / "venv" / "bin"
    # What is installed here is there too, editable distributions included.
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (own,) = (folder / "venv" / "lib").glob("python3*/site-packages")
    (own / "outer.pth").write_text("\n".join(lines))
    # The scripts that pip would have written.
    for name, code in {
        "pip": "import runpy; runpy.run_module('pip', run_name='__main__')",
        "hwrt": "from hwrt.cli import main; main()",
    }.items():
        (commands / name).write_text(f'#!/bin/sh\nexec "{commands}/python" -c "{code}" "$@"\n')
        (commands / name).chmod(0o755)
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    return Environment(
        folder,
        {
            **os.environ,
            "PATH": path,
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's way of saying: without
            "HWRT_CACHE_DIR": str(folder / "cache"),
        },
    )
