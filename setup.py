"""Compiles hwrt._kernels from csrc/; everything static stands in pyproject.toml.

Without a working compiler the package installs without it, and numba or NumPy serves the kernels;
``HWRT_REQUIRE_KERNELS=1`` makes that an error.
"""

import os
import shutil
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension
from setuptools import setup
from setuptools.command.build_py import build_py


class BuildPyAfresh(build_py):
    """Empties build/lib first: a package deleted since must not reach the wheel."""

    def run(self) -> None:
        base = self.get_finalized_command("build").build_base
        if not self.editable_mode and Path(base) in Path(self.build_lib).parents:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


# As many files at once as there are CPUs, or as HWRT_BUILD_JOBS says.
ParallelCompile("HWRT_BUILD_JOBS").install()

setup(
    cmdclass={"build_py": BuildPyAfresh},
    ext_modules=[
        Pybind11Extension(
            "hwrt._kernels",
            sorted(str(path) for path in Path("csrc").glob("*/*.cpp")),
            depends=sorted(str(p) for p in Path("csrc").rglob("*") if p.suffix in {".h", ".inc"}),
            cxx_std=17,
            # Fused only where the code says so: the same results from every compiler.
            extra_compile_args=["-O3", "-ffp-contract=off", "-fvisibility=hidden", "-pthread"],
            extra_link_args=["-pthread"],
            optional=os.environ.get("HWRT_REQUIRE_KERNELS") != "1",
        )
    ],
)
