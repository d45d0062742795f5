"""Hands damaged models to a child one by one, and tells what became of each.

The child reads; another confirms what was read by an independent parse.  Both live on from case to
case, so that thousands take minutes; where one dies or does not answer, the case at hand is the
culprit and the next one gets a fresh child.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.hostile import (
    mutate_bytes,
    mutate_flatbuffer,
    mutate_ir,
    mutate_onnx,
    mutate_protobuf,
    mutate_tflite,
)
from tests.hostile.bases import Base
from tests.hostile.cases import Case, Content, Mutator, write
from tests.hostile.worker import MEMORY_KB

__all__ = ["FINDINGS", "READER", "Outcome", "Runner", "cases"]

ROOT = Path(__file__).resolve().parents[2]
READER = "hwrt.model:read"
FINDINGS = ("exception", "crash", "time", "memory", "outside", "unconfirmed")
"""The outcomes that are none of those a hostile file may have."""

_WALL_S = 10.0
"""Until a silent child is killed.  Its processor time is limited to 2 s by itself; this is for one
that waits, on a machine that may be busy."""
_CONFIRM_S = 60.0
_RENEWED_AFTER = 400
_LARGE_BYTES = 60_000

_STRUCTURED: dict[str, dict[str, Mutator]] = {
    "onnx": {**mutate_protobuf.MUTATORS, **mutate_onnx.MUTATORS, **mutate_onnx.EXTERNAL_MUTATORS},
    "tflite": {**mutate_flatbuffer.MUTATORS, **mutate_tflite.MUTATORS},
    "openvino-ir": mutate_ir.MUTATORS,
}
_SUFFIXES = ("", ".onnx", ".xml", ".tflite", ".bin", ".engine", ".om", ".ONNX", ".pb")


class Outcome(NamedTuple):
    """What became of a case: ``kind`` is one of FINDINGS, an error's name, or ``confirmed``."""

    kind: str
    detail: str
    cpu_s: float = 0.0
    peak_kb: int = 0


def cases(
    bases: Sequence[Base], seed: int, count: int, *, structured: float = 0.7
) -> Iterator[Case]:
    """So many damaged models, no two alike and none undamaged; equal arguments give equal ones."""
    formats = sorted({base.format for base in bases})
    seen = {digest(base.files) for base in bases}
    sound = len(seen)
    for index in itertools.count():
        if len(seen) == sound + count:
            return
        random = Random(f"{seed}:{index}")
        base = _base(
            [base for base in bases if base.format == formats[index % len(formats)]], random
        )
        mutators = _mutators(base) if random.random() < structured else mutate_bytes.MUTATORS
        name = random.choice(sorted(mutators))
        files = mutators[name](base, random)
        main = base.main
        if random.random() < 0.03:
            main, files = _renamed(main, files, random)
        name_of_files = digest(files)
        if name_of_files in seen:
            continue
        seen.add(name_of_files)
        yield Case(base.name, base.format, name, main, files)


def _base(bases: Sequence[Base], random: Random) -> Base:
    """Small ones more often: they are read, and damaged where it hurts, the sooner."""
    weights = [1 if len(base.files[base.main]) > _LARGE_BYTES else 5 for base in bases]
    return random.choices(bases, weights)[0]


def _mutators(base: Base) -> Mapping[str, Mutator]:
    if base.format == "tflite" and len(base.files[base.main]) > _LARGE_BYTES:
        # The schema's Python objects take half a second for such a file.
        return mutate_flatbuffer.MUTATORS
    return _STRUCTURED[base.format]


def _renamed(
    main: str, files: Mapping[str, Content], random: Random
) -> tuple[str, Mapping[str, Content]]:
    name = "model" + random.choice(_SUFFIXES)
    if name in files:
        return main, files
    return name, {name if key == main else key: content for key, content in files.items()}


class _Child:
    """A worker process that answers one question at a time."""

    def __init__(self, *arguments: str, prefix: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-W", "ignore", "-m", "tests.hostile.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )
        self.answered = 0

    def ask(self, question: Mapping[str, Any], timeout_s: float) -> dict[str, Any] | None:
        """The answer; None where the child died or was silent for so long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        ready, _, _ = select.select([self._process.stdout], [], [], timeout_s)
        line = self._process.stdout.readline() if ready else b""
        self.answered += bool(line)
        return json.loads(line) if line else None

    def end(self) -> int | None:
        """Kill the child with all it started; the signal by which it had died, None if it lived."""
        died_of = self._process.poll()
        if died_of is None:
            try:
                self._process.wait(
                    0.5
                    if self._process.stdout in select.select([self._process.stdout], [], [], 0)[0]
                    else 0
                )
                died_of = self._process.returncode
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return None if died_of is None else -died_of


@dataclass
class Runner:
    """Reads cases below ``folder``, one at a time."""

    folder: Path
    reader: str = READER
    prefix: Sequence[str] = ()
    wall_s: float = _WALL_S
    _children: dict[str, _Child] = field(default_factory=dict)

    def close(self) -> None:
        """End the children."""
        for name in list(self._children):
            self._end(name)

    def run(self, case: Case) -> Outcome:
        """Write the case's files, read them, confirm what was read."""
        folder = self.folder / "case" / "model"
        write(case.files, folder)
        return self.outcome(folder / case.main)

    def outcome(self, path: Path) -> Outcome:
        """What becomes of reading this file."""
        answer = self._child("read").ask({"path": str(path)}, self.wall_s)
        if answer is None:
            signal_number = self._end("read")
            if signal_number in (None, signal.SIGPROF):
                return Outcome("time", "2 s of processor time" if signal_number else "no answer")
            return Outcome("crash", f"signal {signal_number}")
        told = answer["cpu_s"], answer["peak_kb"]
        if answer["peak_kb"] > MEMORY_KB:
            self._end("read")  # its memory may not come back
            return Outcome("memory", f"{answer['peak_kb'] >> 10} MB", *told)
        if answer["outside"]:
            return Outcome("outside", ", ".join(answer["outside"])[:300], *told)
        if answer["outcome"] != "read":
            return Outcome(answer["outcome"], answer["detail"], *told)
        found = self._child("confirm").ask(
            {"path": str(path), "facts": answer["facts"]}, _CONFIRM_S
        )
        if found is None:
            self._end("confirm")
            return Outcome("unconfirmed", "the independent parse died", *told)
        if found["found"]:
            return Outcome("unconfirmed", "; ".join(found["found"])[:600], *told)
        return Outcome("confirmed", "", *told)

    def _child(self, name: str) -> _Child:
        child = self._children.get(name)
        if child is not None and child.answered >= _RENEWED_AFTER:
            self._end(name)
            child = None
        if child is None:
            arguments = ("read", self.reader) if name == "read" else ("confirm",)
            child = _Child(*arguments, prefix=self.prefix if name == "read" else ())
            self._children[name] = child
        return child

    def _end(self, name: str) -> int | None:
        return self._children.pop(name).end()


def digest(files: Mapping[str, Content]) -> str:
    """A short name for a case's files."""
    state = hashlib.sha256()
    for name, content in sorted(files.items()):
        data = content if isinstance(content, bytes) else repr(content).encode()
        state.update(f"{name} {len(data)}\n".encode())
        state.update(data)
    return state.hexdigest()[:12]
