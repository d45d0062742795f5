"""EdgeTPUs by fakes: folders in the place of sysfs, and a delegate in C in that of libedgetpu.

No Coral was at hand: what the real library does with a real device is not shown here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hwrt.backend import BackendFailure, Device, Limits, ModelInfo, Options, UnsupportedModel
from hwrt_litert import LiteRt, edgetpu
from hwrt_litert.diagnosis import findings

from .tflite_files import RELU, Function, Operator, write

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

TPU = Device("edgetpu")
SINGLE = Options(threads=1)
Build = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine without anything."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def library(root: Path) -> Build:
    """Builds the fake below ``root``, with what the compiler is told."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) to build the fake library with")

    def build(*arguments: str) -> Path:
        path = root / "usr/lib/x86_64-linux-gnu/libedgetpu.so.1"
        path.parent.mkdir(parents=True, exist_ok=True)
        source = Path(__file__).with_name("fake_edgetpu.c")
        command = [compiler, "-shared", "-fPIC", "-w", *arguments, str(source), "-o", str(path)]
        subprocess.run(command, check=True)
        return path

    return build


def usb(root: Path, port: str = "1-2", ids: tuple[str, str] = ("18d1", "9302")) -> Path:
    folder = root / "sys/bus/usb/devices" / port
    folder.mkdir(parents=True)
    number = port.partition("-")[2]
    names = ("idVendor", "idProduct", "busnum", "devnum")
    for name, text in zip(names, (*ids, "1", number), strict=True):
        (folder / name).write_text(f"{text}\n")
    node = root / "dev/bus/usb/001" / number.zfill(3)
    node.parent.mkdir(parents=True, exist_ok=True)
    node.touch()
    return node


def pci(root: Path, number: int = 0) -> Path:
    device = root / "sys/devices/0000:01:00.0"
    device.mkdir(parents=True, exist_ok=True)
    folder = root / f"sys/class/apex/apex_{number}"
    folder.mkdir(parents=True)
    (folder / "device").symlink_to(device)
    node = root / f"dev/apex_{number}"
    node.parent.mkdir(parents=True, exist_ok=True)
    node.touch()
    return node


def mapped(folder: Path) -> ModelInfo:
    """relu(-x): the minus as edgetpu_compiler writes it, the rest for the CPU."""
    tensors = [("f4", (4,))] * 3
    operators = [Operator("edgetpu-custom-op", [0], [1]), Operator(RELU, [1], [2])]
    return write(folder / "mapped.tflite", [Function(tensors, [0], [2], operators)])


def plain(folder: Path) -> ModelInfo:
    function = Function([("f4", (4,))] * 2, [0], [1], [Operator(RELU, [0], [1])])
    return write(folder / "plain.tflite", [function])


# -- what is attached ---------------------------------------------------------------------------


def test_machine_without_an_edgetpu_has_none(root: Path) -> None:
    usb(root, "1-4", ids=("046d", "c52b"))

    assert edgetpu.attached(root) == []
    assert edgetpu.library(root) is None


@pytest.mark.parametrize("ids", [("1a6e", "089a"), ("18d1", "9302")], ids=["before", "after"])
def test_usb_accelerator_is_found_before_and_after_its_firmware(
    root: Path, ids: tuple[str, str]
) -> None:
    node = usb(root, "1-2", ids)
    (coral,) = edgetpu.attached(root)

    assert (coral.option, coral.node, coral.group) == ("usb:0", node, "plugdev")
    assert coral.device == Device("edgetpu", 0, "Coral USB Accelerator", "usb 1-2", exclusive=True)


def test_those_on_pci_come_first_and_each_kind_is_counted(root: Path) -> None:
    usb(root, "1-2")
    usb(root, "1-3")
    pci(root, 0)
    pci(root, 1)
    found = edgetpu.attached(root)

    assert [coral.option for coral in found] == ["pci:0", "pci:1", "usb:0", "usb:1"]
    assert [coral.device.id for coral in found] == [f"edgetpu:{i}" for i in range(4)]
    assert found[0].identity == "pci 0000:01:00.0"
    assert found[0].group == "apex"


# -- the probe ----------------------------------------------------------------------------------


def test_library_that_works_has_no_fault(root: Path, library: Build, tmp_path: Path) -> None:
    usb(root)
    (coral,) = edgetpu.attached(root)
    path = library()

    assert edgetpu.fault(coral, path) is None
    assert edgetpu.fault(coral, path, model=mapped(tmp_path).path) is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-DCRASH=1"], r"libedgetpu\.so\.1 crashes \(SIGSEGV\)"),
        (["-DREFUSE"], "ValueError: Failed to load delegate.*no device of the fake"),
        (["-Dtflite_plugin_create_delegate=other"], "undefined symbol"),
    ],
    ids=["crashes", "refuses", "another library"],
)
def test_library_that_does_not_work_has_a_reason(
    root: Path, library: Build, arguments: list[str], reason: str
) -> None:
    usb(root)
    (coral,) = edgetpu.attached(root)
    found = edgetpu.fault(coral, library(*arguments))

    assert found is not None
    assert re.search(reason, found)


def test_library_that_crashes_with_a_model_alone_is_found_out(
    root: Path, library: Build, tmp_path: Path
) -> None:
    usb(root)
    (coral,) = edgetpu.attached(root)
    path = library("-DCRASH=2")

    assert edgetpu.fault(coral, path) is None
    assert "SIGSEGV" in (edgetpu.fault(coral, path, model=mapped(tmp_path).path) or "")


def test_library_that_does_not_answer_is_given_up(
    root: Path, library: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    usb(root)
    (coral,) = edgetpu.attached(root)
    monkeypatch.setattr(edgetpu, "_TIMEOUT_S", 1.0)

    assert "did not answer within 1 s" in (edgetpu.fault(coral, library("-DHANG")) or "")


def test_interpreter_of_the_probe_is_the_one_that_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usb(root)
    (coral,) = edgetpu.attached(root)
    monkeypatch.setenv("HWRT_PYTHON", str(tmp_path / "no-python"))

    assert "no-python can not be started" in (edgetpu.fault(coral, tmp_path) or "")


# -- the device ---------------------------------------------------------------------------------


def test_edgetpu_that_works_is_a_device(root: Path, library: Build) -> None:
    usb(root)
    library()
    devices = LiteRt(root).devices()

    assert [device.id for device in devices] == ["cpu:0", "edgetpu:0"]
    assert devices[1].exclusive


@pytest.mark.parametrize("arguments", [["-DCRASH=1"], ["-DREFUSE"]], ids=["crashes", "refuses"])
def test_edgetpu_that_does_not_work_is_no_device(
    root: Path, library: Build, arguments: list[str]
) -> None:
    usb(root)
    library(*arguments)

    assert [device.id for device in LiteRt(root).devices()] == ["cpu:0"]


def test_edgetpu_is_tried_once(root: Path, library: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    usb(root)
    library()
    tried = []
    monkeypatch.setattr(edgetpu, "fault", lambda *_: tried.append(1))
    backend = LiteRt(root)
    for _ in range(3):
        backend.devices()

    assert len(tried) == 1


def test_two_models_of_one_process_share_the_edgetpu(
    root: Path, library: Build, tmp_path: Path
) -> None:
    usb(root)
    library(f'-DLOCK="{root}/lock"')
    models = [LiteRt(root).compile(mapped(tmp_path), TPU, options=SINGLE) for _ in range(2)]
    x = np.ones(4, "f4")
    found = [made.create_request().infer({"t0": -x})["t2"].tolist() for made in models]

    assert found == [[1] * 4] * 2
    assert [device.id for device in LiteRt(root).devices()] == ["cpu:0", "edgetpu:0"]


def test_edgetpu_is_tried_by_one_thread_at_a_time(root: Path, library: Build) -> None:
    usb(root)
    library(f'-DLOCK="{root}/lock"')
    backend = LiteRt(root)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: len(backend.devices()), range(4)))

    assert found == [2] * 4


def test_library_is_part_of_the_stamp(root: Path, library: Build) -> None:
    without = LiteRt(root).stamp()
    library()

    assert LiteRt(root).stamp().startswith(f"{without}, libedgetpu.so.1 ")


def test_mapped_model_runs_on_the_edgetpu_and_the_rest_of_it_on_the_cpu(
    root: Path, library: Build, tmp_path: Path
) -> None:
    usb(root)
    library()
    made = LiteRt(root).compile(mapped(tmp_path), TPU, options=SINGLE)
    request = made.create_request()
    request.inputs["t0"][...] = x = np.array([1, -2, 3, -4], "f4")
    request.run()

    assert request.outputs["t2"].tolist() == [0, 2, 0, 4]
    assert request.infer({"t0": -x})["t2"].tolist() == [1, 0, 3, 0]
    assert dict(made.placement.operators) == {"edgetpu:0": 1, "cpu:0": 1}
    assert made.max_requests == 1


def test_delegate_outlives_its_interpreter_however_the_process_ends(
    root: Path, library: Build, tmp_path: Path
) -> None:
    usb(root)
    library()
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hwrt.backend import Device, Options\n"
        "from hwrt.model import read\n"
        "from hwrt_litert import LiteRt\n"
        "root, model = map(Path, sys.argv[1:])\n"
        "made = LiteRt(root).compile(read(model), Device('edgetpu'), options=Options(threads=1))\n"
        "closed, left, dropped = (made.create_request() for _ in range(3))\n"
        "left.inputs['t0'].fill(-2)\n"
        "closed.run(); left.run(); dropped.run(); closed.close()\n"
        "del dropped\n"
        "array = left.outputs['t2']\n"
        "del left, made\n"
        "print(array.tolist())\n"
    )
    arguments = [sys.executable, "-c", code, str(root), str(mapped(tmp_path).path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "[2.0, 2.0, 2.0, 2.0]\n", "")


def test_edgetpu_needs_a_model_that_was_compiled_for_it(
    root: Path, library: Build, tmp_path: Path
) -> None:
    usb(root)
    library()

    with pytest.raises(UnsupportedModel, match=r"plain\.tflite.*edgetpu_compiler"):
        LiteRt(root).compile(plain(tmp_path), TPU, options=SINGLE)


def test_cpu_refuses_a_model_that_was_compiled_for_an_edgetpu(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"mapped\.tflite.*that edgetpu_compiler was given"):
        LiteRt().compile(mapped(tmp_path), Device("cpu"), options=SINGLE)


def test_edgetpu_that_is_not_attached_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"'edgetpu:0'.*hwrt doctor"):
        LiteRt(root).compile(mapped(tmp_path), TPU, options=SINGLE)


def test_edgetpu_without_its_library_is_refused(root: Path, tmp_path: Path) -> None:
    usb(root)

    with pytest.raises(UnsupportedModel, match="libedgetpu"):
        LiteRt(root).compile(mapped(tmp_path), TPU, options=SINGLE)


def test_library_of_another_runtime_is_a_failure_and_not_a_crash(
    root: Path, library: Build, tmp_path: Path
) -> None:
    usb(root)
    library("-DCRASH=2")

    with pytest.raises(BackendFailure, match=r"crashes \(SIGSEGV\).*feranick/libedgetpu"):
        LiteRt(root).compile(mapped(tmp_path), TPU, options=SINGLE)


def test_edgetpu_has_one_candidate_and_judges_nobody(tmp_path: Path) -> None:
    model = mapped(tmp_path)

    assert list(LiteRt().candidates(model, TPU, Limits(threads=2))) == [
        Options(precision="f32", threads=2)
    ]
    assert LiteRt().reference(model, TPU) is None


# -- diagnosis ----------------------------------------------------------------------------------


def no_fault(*_: object) -> None:
    return None


def test_edgetpu_without_its_library_is_told_with_the_mend(root: Path) -> None:
    usb(root)
    (finding,) = findings(["ai_edge_litert"], root=root, fault=no_fault)

    assert "usb 1-2" in finding.fault
    assert "libedgetpu is not installed" in finding.fault
    assert not finding.fatal


@pytest.mark.parametrize(("attach", "group"), [(usb, "plugdev"), (pci, "apex")])
def test_edgetpu_that_may_not_be_opened_is_told_with_the_group(
    root: Path,
    library: Build,
    monkeypatch: pytest.MonkeyPatch,
    attach: Callable[[Path], Path],
    group: str,
) -> None:
    node = attach(root)
    library()
    monkeypatch.setattr(os, "access", lambda *_: False)
    (finding,) = findings(["ai_edge_litert"], root=root, fault=no_fault)

    assert str(node) in finding.fault
    assert f"usermod -aG {group} " in finding.mend


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [(["-DCRASH=1"], "feranick/libedgetpu"), (["-DREFUSE"], "unplug")],
    ids=["crashes", "refuses"],
)
def test_edgetpu_that_does_not_work_is_told_with_the_reason(
    root: Path, library: Build, arguments: list[str], mend: str
) -> None:
    usb(root)
    library(*arguments)
    (finding,) = LiteRt(root).diagnose()

    assert "can not be used" in finding.fault
    assert mend in finding.mend


def test_edgetpu_that_works_is_no_finding(root: Path, library: Build) -> None:
    usb(root)
    library()

    assert list(LiteRt(root).diagnose()) == []
