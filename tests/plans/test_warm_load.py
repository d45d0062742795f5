"""What a load by a cached plan does: counted, not timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hwrt
from hwrt import files
from hwrt.model import memo

pytestmark = pytest.mark.slow  # each tunes anew, in child processes

# Counts what the load does of its own; a file's name is that below the cache.
COUNTED = """
import collections, hashlib, json, os, sys
import hwrt
from hwrt import files
from hwrt.model import memo
files._COARSEST_CLOCK_NS = memo._COARSEST_CLOCK_NS = -10**10  # the files are young
model, root = sys.argv[1:]
opened, stats, hashed = collections.Counter(), collections.Counter(), [0]
def named(path):
    path = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
    if path == model:
        return "model"
    if not path.startswith(root + "/"):
        return None
    kind, _, name = path.removeprefix(root + "/").partition("/")
    return f"{kind} {name.rpartition('.')[2]}" if name else None
def watch(event, arguments):
    if event == "open" and counting and (name := named(arguments[0])):
        opened[name] += 1
real_stat, real_sha256 = os.stat, hashlib.sha256
def stat(path, **named_arguments):
    if counting and (name := named(path)):
        stats[name] += 1
    return real_stat(path, **named_arguments)
def sha256(data=b"", **named_arguments):
    hashed[0] += len(data) if counting else 0
    return real_sha256(data, **named_arguments)
counting = False
hwrt.load(model, threads=1)  # imports, and notes what it hashes
os.stat, hashlib.sha256 = stat, sha256
sys.addaudithook(watch)
counting = True
session = hwrt.load(model, threads=1)
counting = False
names = ["onnx", "rich", "click", "subprocess", "multiprocessing", "asyncio", "onnxruntime",
         "openvino", "ai_edge_litert", "hwrt.tuning.tuner", "hwrt.tuning.children"]
print(json.dumps({"opened": opened, "stats": stats, "hashed": hashed[0],
                  "imported": [name for name in names if name in sys.modules]}))
"""


@pytest.fixture
def counted(model: Path, cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a warm load in a process of its own opens, asks for, hashes and has imported."""
    for module in (files, memo):
        monkeypatch.setattr(module, "_COARSEST_CLOCK_NS", -10_000_000_000)
    hwrt.load(model, threads=1)
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, str(model), str(cache_root)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_warm_load_opens_five_small_files_and_neither_model_nor_engine(
    counted: dict[str, Any],
) -> None:
    # The engine's digest is read by the backend, for the plan, and where the session is made.
    assert counted["opened"] == {"memo json": 1, "plans json": 1, "compiled sha256": 3}


def test_a_warm_load_asks_little_of_the_file_system(counted: dict[str, Any]) -> None:
    assert sum(counted["stats"].values()) <= 8


def test_a_warm_load_hashes_no_more_than_the_plan(
    counted: dict[str, Any], cache_root: Path
) -> None:
    (plan,) = (cache_root / "plans").glob("*.json")
    (remembered,) = (cache_root / "memo").glob("*.json")

    assert counted["hashed"] < 2 * plan.stat().st_size + 2 * remembered.stat().st_size


def test_a_warm_load_imports_no_vendor_and_nothing_that_tunes(counted: dict[str, Any]) -> None:
    assert counted["imported"] == []


EXPLAINED = """
import sys
from hwrt.cli import main
from hwrt.model import memo
memo._COARSEST_CLOCK_NS = -10**10  # the model is young
try:
    main(["explain", sys.argv[1], "--threads", "1", "--json"])
except SystemExit as exc:
    assert exc.code == 0
names = ["onnx", "rich", "subprocess", "onnxruntime", "openvino", "ai_edge_litert",
         "hwrt.tuning.tuner", "hwrt.tuning.children"]
print(*[name for name in names if name in sys.modules], file=sys.stderr)
"""


def test_an_explanation_runs_nothing_and_imports_no_vendor(model: Path, log: Path) -> None:
    hwrt.load(model, threads=1)
    log.write_text("")
    done = subprocess.run(
        [sys.executable, "-c", EXPLAINED, str(model)], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout)["schema"] == "hwrt.explain/1"
    assert (done.stderr, log.read_text()) == ("\n", "")
