"""Resolves the extras' dependencies for every supported Python and for both architectures."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile

EXTRAS = ("cpu", "numba", "image")


def requirements() -> list[str]:
    """The dependencies and those of EXTRAS, from the metadata of the installed distribution."""
    from importlib.metadata import requires

    wanted = []
    for line in requires("hwrt-runtime") or ():
        name, _, marker = line.partition(";")
        extra = re.search(r"""extra == ['"](.+?)['"]""", marker)
        if extra is None or extra[1] in EXTRAS:
            wanted.append(name.strip())
    return wanted


def main() -> None:
    for python in ("3.10", "3.11", "3.12", "3.13"):
        for machine in ("x86_64", "aarch64"):
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
                command += ["--ignore-installed", "--target", folder, "--only-binary=:all:"]
                command += ["--python-version", python]
                for glibc in (17, 27, 28, 34, 35, 39):
                    command += ["--platform", f"manylinux_2_{glibc}_{machine}"]
                command += ["--platform", f"manylinux2014_{machine}"]
                subprocess.run([*command, *requirements()], check=True)
            print(f"python {python} {machine}: resolved")


if __name__ == "__main__":
    main()
