from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from hwrt.backend import (
    Backend,
    BackendFailure,
    BackendUnavailable,
    Device,
    InputError,
    Limits,
    ModelInfo,
    Options,
    UnsupportedModel,
)
from hwrt.model import read
from hwrt.testing import BackendConformance, graphs
from hwrt.testing.checking import check, noise
from hwrt.testing.tflite_writer import write_tflite
from hwrt_litert import LiteRt, memory, vendor, words
from hwrt_litert.diagnosis import findings

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")


class TestLiteRt(BackendConformance):
    vendor = "ai_edge_litert"
    unsupported: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            (
                "test_artefact_is_in_the_cache_dir_and_intact",
                "test_artefact_of_another_process_is_used",
                "test_artefact_that_can_not_be_kept_is_warned_of",
                "test_damaged_artefact_is_built_anew",
                "test_refused_artefact_is_built_anew_with_a_warning",
                "test_second_compile_needs_the_cache_alone",
                "test_second_compile_with_shapes_is_like_the_first",
            ),
            "a compile is one read of the file: there is nothing to keep",
        ),
        **dict.fromkeys(
            (
                "test_bind_of_none_gives_the_own_arrays_back",
                "test_bound_array_outlives_the_resize_of_another_input",
                "test_infer_gives_its_own_arrays_while_others_are_bound",
                "test_bound_input_is_read_at_each_run",
                "test_bound_output_is_written_by_each_run",
                "test_large_arrays_may_be_bound",
                "test_one_of_two_requests_may_be_bound",
            ),
            "LiteRT's Python interface can not be told where a tensor is to lie",
        ),
        "test_zero_has_a_sign": "XNNPACK negates 0.0 to 0.0",
    }

    @pytest.fixture
    def backend(self) -> Backend:
        from hwrt_litert import LiteRt

        return LiteRt()


CPU = Device("cpu")
SINGLE = Options(threads=1)


def relu(folder: Path) -> ModelInfo:
    return read(write_tflite(graphs.relu(), folder / "model.tflite"))


def quantized(folder: Path) -> ModelInfo:
    graph = graphs.quantized_matmul(float_ends=False)
    return read(write_tflite(graph, folder / "model.tflite"))


# -- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernels", ["xnnpack", "builtin", "reference"])
def test_every_set_of_kernels_is_right(tmp_path: Path, kernels: str) -> None:
    graph = graphs.convolution("NHWC")
    model = read(write_tflite(graph, tmp_path / "model.tflite"))
    made = LiteRt().compile(model, CPU, options=Options(threads=1, kernels=kernels))

    check(made, graph, {"x": noise((2, 16, 16, 3))}, rtol=1e-5)


@pytest.mark.parametrize("value", ["fast", 1])
def test_unknown_kernels_are_an_input_error(tmp_path: Path, value: str | int) -> None:
    with pytest.raises(InputError, match=r"kernels is .*xnnpack, builtin, reference"):
        LiteRt().compile(relu(tmp_path), CPU, options=Options(kernels=value))


@pytest.mark.parametrize(("make", "wrong"), [(relu, "int8"), (quantized, "f32")])
def test_precision_is_that_of_the_file_or_refused(
    tmp_path: Path, make: type[ModelInfo], wrong: str
) -> None:
    with pytest.raises(UnsupportedModel, match=f"not '{wrong}'"):
        LiteRt().compile(make(tmp_path), CPU, options=Options(precision=wrong))


@pytest.mark.parametrize("make", [relu, quantized])
def test_candidates_are_with_and_without_xnnpack(tmp_path: Path, make: type[ModelInfo]) -> None:
    model = make(tmp_path)
    candidates = list(LiteRt().candidates(model, CPU, Limits(threads=2)))
    made = [LiteRt().compile(model, CPU, options=options) for options in candidates]

    assert [(options.get("kernels"), options.threads) for options in candidates] == [
        *((None, 2), ("builtin", 2)),
        *((None, 1), ("builtin", 1)),
    ]
    assert {each.precision for each in made} == {"int8" if model.quantized else "f32"}
    # hwrt tries these where the model is wanted as its file states it.
    assert {options.precision for options in candidates} == {None if model.quantized else "f32"}


def test_float_model_is_judged_without_xnnpack_and_a_quantised_one_by_the_default(
    tmp_path: Path,
) -> None:
    assert LiteRt().reference(relu(tmp_path), CPU) == Options(
        precision="f32", threads=1, kernels="builtin"
    )
    assert LiteRt().reference(quantized(tmp_path), CPU) == Options(precision="int8", threads=1)


def test_threads_that_no_int_holds_are_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="threads is 2147483648"):
        LiteRt().compile(relu(tmp_path), CPU, options=Options(threads=1 << 31))


# -- the process --------------------------------------------------------------------------------


def test_vendor_prints_nothing_and_other_words_on_stderr_stay(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from hwrt.backend import Device, Options\n"
        "from hwrt.model import read\n"
        "from hwrt_litert import LiteRt\n"
        "def progress(fraction, text):\n"
        "    os.write(2, b'mine before\\n'); return True\n"
        "model = read(Path(sys.argv[1]))\n"
        "made = LiteRt().compile(model, Device('cpu'), options=Options(), progress=progress)\n"
        "made.create_request().run()\n"
        "os.write(2, b'mine after\\n')\n"
    )
    arguments = [sys.executable, "-c", code, str(relu(tmp_path).path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("", "mine before\nmine after\n")


def say(words: bytes) -> Callable[..., Any]:
    """An Interpreter that only says something on stderr."""
    return lambda **_: SimpleNamespace(allocate_tensors=lambda: os.write(2, words))


def test_words_of_others_on_stderr_are_printed_after_the_vendors_are_logged(
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(words, "_heard", False)
    caplog.set_level("DEBUG", logger="hwrt")
    words.log_first_words(say(b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nmine\n"))

    assert capfd.readouterr().err == "mine\n"
    assert "XNNPACK" in caplog.text


def test_model_that_the_vendor_first_speaks_over_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(words, "_heard", False)

    def make(**arguments: Any) -> Any:
        made.append(vendor.load().interpreter(**arguments))
        return made[0]

    words.log_first_words(make)
    made[0].invoke()

    assert len(made) == 1


def test_stderr_that_takes_nothing_fails_no_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_heard", False)
    stderr, full = os.dup(2), os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 2)
    try:
        words.log_first_words(say(b"of another thread\n"))
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(full)

    assert words._heard


def test_what_is_said_before_a_crash_in_the_first_compile_is_on_stderr(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "import hwrt_litert\n"
        "from hwrt.backend import Device, Options\n"
        "from hwrt.model import read\n"
        "def crash(*_):\n"
        "    os.write(2, b'F0000 the very reason\\n'); os._exit(3)\n"
        "hwrt_litert.Graph = crash\n"
        "model = read(Path(sys.argv[1]))\n"
        "hwrt_litert.LiteRt().compile(model, Device('cpu'), options=Options())\n"
    )
    arguments = [sys.executable, "-c", code, str(relu(tmp_path).path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (3, "F0000 the very reason\n")


def test_lock_that_another_thread_has_is_free_in_a_forked_child() -> None:
    code = (
        "import os, signal, threading\n"
        "from hwrt_litert.lock import Lock\n"
        "lock, held, done = Lock(), threading.Event(), threading.Event()\n"
        "def hold():\n"
        "    with lock:\n"
        "        held.set(); done.wait()\n"
        "threading.Thread(target=hold).start()\n"
        "held.wait()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    signal.alarm(20)\n"
        "    with lock:\n"
        "        os._exit(0)\n"
        "print(os.waitpid(child, 0)[1])\n"
        "done.set()\n"
    )
    arguments = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)

    assert done.stdout == "0\n"


def test_absent_vendor_is_unavailable_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "PACKAGES", (("no_such_package", "no_such_package.interpreter"),))

    for use in (LiteRt().stamp, LiteRt().devices):
        with pytest.raises(BackendUnavailable, match="pip install ai-edge-litert"):
            use()


def test_older_package_serves_where_the_first_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_litert").mkdir()
    (tmp_path / "broken_litert/__init__.py").write_text("raise ImportError('no such symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    packages = (("broken_litert", "broken_litert.interpreter"), *vendor.PACKAGES)
    monkeypatch.setattr(vendor, "PACKAGES", packages)

    assert vendor.load().interpreter.__module__ == "ai_edge_litert.interpreter"


def test_package_that_does_not_import_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_litert").mkdir()
    (tmp_path / "broken_litert/__init__.py").write_text("raise ImportError('no such symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(vendor, "PACKAGES", (("broken_litert", "broken_litert.interpreter"),))

    with pytest.raises(BackendUnavailable, match="broken_litert does not import: no such symbol"):
        LiteRt().devices()


def test_version_without_a_choice_of_kernels_refuses_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = vendor.load()._replace(resolvers=None)
    monkeypatch.setattr(vendor, "load", lambda: old)
    LiteRt().compile(relu(tmp_path), CPU, options=SINGLE)

    with pytest.raises(UnsupportedModel, match="no choice of kernels, so not 'builtin'"):
        LiteRt().compile(relu(tmp_path), CPU, options=Options(kernels="builtin"))


@pytest.mark.parametrize(
    ("text", "error"),
    [("RuntimeError of no kind", BackendFailure), ("Didn't find op for builtin", UnsupportedModel)],
)
def test_what_the_vendor_raises_is_told_apart_by_its_text(
    text: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=text):
        vendor.raise_load_fault(ValueError(text), Path("model.tflite"))


def test_two_packages_of_one_runtime_are_a_finding(tmp_path: Path) -> None:
    packages = ["ai_edge_litert", "tflite_runtime"]
    (finding,) = findings(packages, root=tmp_path, fault=lambda *_: None)

    assert "hwrt uses ai_edge_litert" in finding.fault
    assert "pip uninstall -y tflite-runtime" in finding.mend
    assert not finding.fatal


def test_this_machine_has_no_findings_without_an_edgetpu(tmp_path: Path) -> None:
    assert list(findings(["ai_edge_litert"], root=tmp_path, fault=lambda *_: None)) == []


# -- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("each", "available", "wanted"),
    [(100, 1000, 4), (200, 1000, 2), (2000, 1000, 1), (0, 1000, 4), (100, None, 4)],
)
def test_requests_are_bounded_by_cpus_and_by_half_of_the_memory(
    each: int, available: int | None, wanted: int
) -> None:
    assert memory.requests_that_fit(each, available, cpus=4) == wanted


def test_what_one_request_takes_is_measured_alike_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read(write_tflite(graphs.relu((1 << 18,)), tmp_path / "model.tflite"))
    found = []

    def bound(each_bytes: int, *_: object) -> int:
        found.append(each_bytes)
        return 1

    monkeypatch.setattr("hwrt_litert.requests_that_fit", bound)
    for _ in range(3):
        LiteRt().compile(model, CPU, options=SINGLE).close()

    # Input and output are 1 MiB each.
    assert all(2 << 20 <= each < 3 << 20 for each in found)


def test_available_memory_is_the_least_of_machine_and_control_group(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 1000 kB\n")
    only_machine = memory.available_bytes(tmp_path)
    (tmp_path / "proc/self/cgroup").write_text("0::/box\n")
    (tmp_path / "sys/fs/cgroup/box").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/box/memory.max").write_text("700000\n")
    (tmp_path / "sys/fs/cgroup/box/memory.current").write_text("100000\n")

    assert only_machine == 1_024_000
    assert memory.available_bytes(tmp_path) == 600_000
    assert memory.available_bytes(tmp_path / "nothing") is None
