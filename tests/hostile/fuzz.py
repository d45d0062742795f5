"""Coverage-guided fuzzing of what reads untrusted files, with atheris (not a dependency of hwrt).

    python -m venv V && V/bin/pip install atheris onnx ml_dtypes ai-edge-litert lxml
    PYTHONPATH=. V/bin/python -m tests.hostile.fuzz onnx --seconds 1500 --out /tmp/fuzz

Finds: another exception than the reader may raise, more than 2 s of processor time or 512 MB, and
a ModelInfo that the independent parse does not confirm.  A finding does not end the run: each new
kind, told by its exception and where it was raised, is kept below ``--out``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hwrt.model", "hwrt.tuning", "hwrt.measure", "hwrt.spec"]):
    from hwrt import model as hwrt_model
    from hwrt.errors import InputError, ModelError, UnsupportedModel
    from hwrt.model import memo
    from hwrt.tuning.plan import Plan

from tests.hostile.bases import made_bases, real_bases
from tests.hostile.oracle import differences
from tests.hostile.worker import facts

CPU_S = 2.0
MEMORY_KB = 512 << 10
MAX_INPUT_BYTES = 1 << 16
REFUSALS = (ModelError, UnsupportedModel)
_FOLDER = Path(tempfile.mkdtemp(prefix="hwrt-fuzz-", dir="/dev/shm"))
_SUFFIXES = ("", ".onnx", ".xml", ".tflite", ".engine", ".om", ".bin", ".plan")


class Disagreement(Exception):
    """The independent parse says something else."""


def read_model(data: bytes, name: str) -> None:
    path = _FOLDER / name
    path.write_bytes(data)
    try:
        info = hwrt_model.read(path)
    except REFUSALS:
        return
    found = differences(facts(info), path)
    if found:
        raise Disagreement("; ".join(found)[:500])


def onnx(data: bytes) -> None:
    read_model(data, "model.onnx")


def ir(data: bytes) -> None:
    read_model(data, "model.xml")


def tflite(data: bytes) -> None:
    read_model(data, "model.tflite")


def detect(data: bytes) -> None:
    suffix = _SUFFIXES[data[0] % len(_SUFFIXES)] if data else ""
    read_model(data[1:], f"model{suffix}")


def plan(data: bytes) -> None:
    """The text as it is, and with a digest that fits, so that what lies behind is reached."""
    for text in (data.decode("utf-8", "replace"), _sealed(data)):
        if text is None:
            continue
        with contextlib.suppress(InputError):
            Plan.from_json(text)


def _sealed(data: bytes) -> str | None:
    try:
        document = json.loads(data)
        document.pop("sha256", None)
        text = json.dumps(document, sort_keys=True).encode()
        return json.dumps({**document, "sha256": hashlib.sha256(text).hexdigest()})
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None


def memory(data: bytes) -> None:
    """What is remembered of a model: damaged, and with a digest that fits."""
    path = _FOLDER / "model.onnx"
    path.touch()
    entry_path = memo._entry_path(path, _FOLDER)
    entry_path.write_bytes(data)
    memo.recall(path, _FOLDER)
    try:
        document = json.loads(data)
        entry_path.write_bytes(memo._seal(document))
    except (ValueError, RecursionError):
        return
    memo.recall(path, _FOLDER)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "onnx": onnx,
    "ir": ir,
    "tflite": tflite,
    "detect": detect,
    "plan": plan,
    "memo": memory,
}


class Watched:
    """A target that keeps what it finds and goes on."""

    def __init__(self, target: Callable[[bytes], None], folder: Path) -> None:
        self.target = target
        self.folder = folder
        self.runs = 0
        self.known = {path.stem for path in folder.glob("*.txt")}

    def __call__(self, data: bytes) -> None:
        self.runs += 1
        if self.runs % 2000 == 0:
            (self.folder / "runs").write_text(str(self.runs))
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        try:
            self.target(data)
        except Exception as exc:  # noqa: BLE001 - every other exception is a finding
            self.keep(data, _kind(exc), traceback.format_exc())
        seconds = time.process_time() - started
        if seconds > CPU_S:
            self.keep(data, "slow", f"{seconds:.1f} s of processor time")
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
        if grown_kb > MEMORY_KB:
            self.keep(data, "memory", f"{grown_kb >> 10} MB more")

    def keep(self, data: bytes, kind: str, text: str) -> None:
        if kind in self.known:
            kept = self.folder / f"{kind}.bin"
            if kept.stat().st_size <= len(data):
                return
        self.known.add(kind)
        (self.folder / f"{kind}.bin").write_bytes(data)
        (self.folder / f"{kind}.txt").write_text(text)


def _kind(exc: Exception) -> str:
    """The exception and the innermost place in hwrt, as a file name."""
    frames = [
        frame for frame in traceback.extract_tb(exc.__traceback__) if "/hwrt/" in frame.filename
    ]
    place = f"{Path(frames[-1].filename).stem}-{frames[-1].lineno}" if frames else "outside"
    if isinstance(exc, Disagreement):
        plain = re.sub(r"\d+|'[^']*'", "", str(exc))[:90]  # without what differs from file to file
        place = hashlib.sha256(plain.encode()).hexdigest()[:6]
    return f"{type(exc).__name__}-{place}"


def seeds(target: str, shared: Path) -> list[bytes]:
    """Sound content of the target's kind, small enough to be mutated often."""
    kind = {"onnx": "onnx", "ir": "openvino-ir", "tflite": "tflite"}.get(target)
    if target == "plan":
        return [_PLAN.read_bytes()] if _PLAN.exists() else []
    if target == "memo":
        return [json.dumps(_memo_entry()).encode()]
    bases = made_bases() + (real_bases(shared) if shared.is_dir() else [])
    found = [base.files[base.main] for base in bases if kind in (None, base.format)]
    found = [data for data in found if len(data) <= MAX_INPUT_BYTES]
    return [bytes([index]) + data for index, data in enumerate(found)] if kind is None else found


_PLAN = Path(__file__).with_name("corpus") / "plan" / "sound.json"


def _memo_entry() -> dict[str, object]:
    base = made_bases()[0]
    path = _FOLDER / "model.onnx"
    path.write_bytes(base.files[base.main])
    info = hwrt_model.read(path)
    files = memo._states([path])
    return {"read_at_ns": time.time_ns() + 10**10, "files": files, "info": memo.to_json(info)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()
    found, corpus = args.out / args.target / "found", args.out / args.target / "corpus"
    for folder in (found, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    for data in seeds(args.target, args.shared):
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    (_FOLDER / "model.bin").write_bytes(b"\0" * 4096)
    (_FOLDER / "weights.bin").write_bytes(b"\0" * 192)
    flags = [
        f"-max_total_time={args.seconds}", f"-seed={args.seed}", f"-max_len={MAX_INPUT_BYTES}",
        "-timeout=30", "-rss_limit_mb=3000", f"-artifact_prefix={found}/",
    ]  # fmt: skip
    dictionary = Path(__file__).with_name(f"{args.target}.dict")
    flags += [f"-dict={dictionary}"] if dictionary.exists() else []
    watched = Watched(TARGETS[args.target], found)
    atheris.Setup([sys.argv[0], *flags, os.fspath(corpus)], watched)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
