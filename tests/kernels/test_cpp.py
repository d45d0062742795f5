"""The C++ tests of csrc/kernels at every target of this machine and, under an emulator, aarch64's.

They use doctest: one header, so that the same file serves every compiler, architecture and
sanitizer, where Catch2 3 and GoogleTest want a library built for each.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

HERE = Path(__file__).parent / "cpp"
KERNELS = sorted((HERE.parents[2] / "csrc" / "kernels").glob("*.cpp"))
FLAGS = ["-std=c++17", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
TARGETS = {"x86_64": ("scalar", "sse4", "avx2"), "aarch64": ("scalar", "neon")}
HERE_TARGETS = TARGETS.get(platform.machine(), ("scalar",))

# An ulp of the largest term that is added; scalar and SSE4.1 code round a product that others fuse.
ULP_OF_LEVELS, ULP_OF_NORMALISED = 2.0**-16, 2.0**-22

pytestmark = pytest.mark.slow


class Programs(NamedTuple):
    """``tests`` runs them, ``outputs`` writes what kernels make of the same inputs."""

    tests: Path
    outputs: Path
    runner: tuple[str, ...]

    def run(
        self, program: Path, *arguments: str, target: str
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.runner, program, *arguments],
            env={**os.environ, "HWRT_MAX_TARGET": target},
            capture_output=True,
            check=False,
        )


def _build(folder: Path, compiler: str, *flags: str) -> tuple[Path, Path]:
    def compile_one(source: Path) -> Path:
        made = folder / f"{source.name}.o"
        level = "-O1" if source.parent == HERE else "-O3"  # as setup.py has it for the kernels
        subprocess.run([compiler, *FLAGS, level, *flags, "-c", source, "-o", made], check=True)
        return made

    sources = [*KERNELS, *sorted(HERE.glob("*.cpp"))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = dict(zip(sources, pool.map(compile_one, sources), strict=True))
    kernels = [made[source] for source in KERNELS]
    tests = [made[source] for source in made if source.parent == HERE and source.stem != "outputs"]
    programs = folder / "tests", folder / "outputs"
    for program, objects in zip(programs, (tests, [made[HERE / "outputs.cpp"]]), strict=True):
        subprocess.run([compiler, *flags, *objects, *kernels, "-o", program], check=True)
    return programs


def _compiler(*names: str) -> str:
    """The first of these compilers that is here and finds doctest."""
    found = [path for name in names if name and (path := shutil.which(name))]
    if not found:
        pytest.skip(f"no compiler: apt install g++ or g++-aarch64-linux-gnu ({', '.join(names)})")
    probe = ["-fsyntax-only", "-x", "c++", "-include", "doctest/doctest.h", "/dev/null"]
    if subprocess.run([found[0], *probe], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{found[0]} does not find doctest: apt install doctest-dev")
    return found[0]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """The programs for this machine."""
    compiler = _compiler(os.environ.get("CXX", ""), "g++", "clang++")
    return Programs(*_build(tmp_path_factory.mktemp("here"), compiler, "-pthread"), ())


@pytest.fixture(scope="module")
def aarch64(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """The programs for aarch64, under an emulator."""
    emulator = shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("no emulator of aarch64: apt install qemu-user")
    compiler = _compiler("aarch64-linux-gnu-g++")
    folder = tmp_path_factory.mktemp("aarch64")
    return Programs(*_build(folder, compiler, "-static"), (emulator,))


def _failures(programs: Programs, target: str) -> str:
    if programs.run(programs.outputs, target, target=target).returncode == 3:
        pytest.skip(f"this CPU has no {target}")
    done = programs.run(programs.tests, target=target)
    return "" if done.returncode == 0 else done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize("target", HERE_TARGETS)
def test_the_cpp_tests_pass_on_this_machine(here: Programs, target: str) -> None:
    assert "" == _failures(here, target)


@pytest.mark.parametrize("target", TARGETS["aarch64"])
def test_the_cpp_tests_pass_on_aarch64(aarch64: Programs, target: str) -> None:
    assert "" == _failures(aarch64, target)


@functools.cache
def outputs(programs: Programs, target: str) -> dict[str, np.ndarray]:
    """What the kernels made at this target, by name."""
    done = programs.run(programs.outputs, target, target=target)
    if done.returncode == 3:
        pytest.skip(f"this CPU has no {target}")
    assert done.returncode == 0, done.stderr
    results, data = {}, done.stdout
    while data:
        line, data = data.split(b"\n", 1)
        name, dtype, count = line.decode().split()
        results[name] = np.frombuffer(data, dtype, int(count))
        data = data[results[name].nbytes :]
    return results


def differing(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> list[str]:
    """The results that do not consist of the same bytes."""
    assert len(a) > 300
    assert a.keys() == b.keys()
    return [name for name in a if a[name].tobytes() != b[name].tobytes()]


def may_differ(name: str) -> bool:
    """Results that are rounded as each target can: sums in another order, fused products."""
    return name.startswith("area-") or "-normalised-" in name or name.endswith("-probabilities")


def allowed(name: str, a: np.ndarray) -> np.ndarray:
    """How far a result that may differ may be from the scalar one."""
    if name.endswith("-probabilities"):
        return 4 * np.spacing(a)
    if a.dtype.kind != "f":
        return np.ones(a.shape)  # of what lies at a half
    ulp = ULP_OF_NORMALISED if "-normalised-" in name else ULP_OF_LEVELS
    fine = 2 * ulp if name.startswith("bilinear-") else 4 * ulp
    return fine + (np.abs(np.spacing(a)) if a.dtype == np.float16 else 0)


def too_far(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> list[str]:
    return [
        name
        for name in differing(a, b)
        if not may_differ(name)
        or (np.abs(a[name].astype(np.float64) - b[name]) > allowed(name, a[name])).any()
    ]


@pytest.mark.parametrize("target", HERE_TARGETS[1:])
def test_every_target_makes_what_scalar_code_makes(here: Programs, target: str) -> None:
    assert [] == too_far(outputs(here, "scalar"), outputs(here, target))


def test_neon_makes_what_scalar_code_makes(aarch64: Programs) -> None:
    assert [] == too_far(outputs(aarch64, "scalar"), outputs(aarch64, "neon"))


def test_scalar_code_makes_the_same_bytes_on_both_architectures(
    here: Programs, aarch64: Programs
) -> None:
    assert [] == differing(outputs(here, "scalar"), outputs(aarch64, "scalar"))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX2 is a target of x86-64 only")
def test_avx2_and_neon_which_both_fuse_differ_in_tails_alone(
    here: Programs, aarch64: Programs
) -> None:
    names = differing(outputs(here, "avx2"), outputs(aarch64, "neon"))

    assert [] == [name for name in names if not name.startswith(("area-", "softmax-", "yuv-"))]
