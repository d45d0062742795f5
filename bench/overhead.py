"""What hwrt costs beside the vendors' own calls: ``python bench/overhead.py [--rounds N]``.

Each pair is timed in turn within one process and one run, so that drift of the machine meets both;
the medians over all rounds are reported; ratio and difference are those of each round's two.
"""

from __future__ import annotations

import argparse
import functools
import gc
import itertools
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import hwrt
from hwrt.machine.versions import versions

Call = Callable[[], object]
# Which memory a session gets moves large models by several percent: each pair is set up anew this
# often, ours and the vendor's first in turn.
SETUPS = 8


@dataclass(frozen=True)
class Pair:
    """Our call beside the vendor's, and what ours may cost: ``plus_us`` more, or ``times`` it."""

    name: str
    ours: Call
    vendors: Call
    runs: int
    plus_us: float = 0.0
    times: float = 1.0


def relu(folder: Path) -> Path:
    """One operator on 16 numbers: nothing but the cost of the call."""
    return save(folder / "relu.onnx", [helper.make_node("Relu", ["x"], ["y"])], (1, 16), (1, 16))


def large(folder: Path) -> Path:
    """1x3x640x640 in, 1x21x513x513 out, with as little work between as gives that shape."""
    nodes = [
        helper.make_node("Slice", ["x", "starts", "ends", "axes"], ["part"]),
        helper.make_node("Concat", ["part"] * 7, ["y"], axis=1),
    ]
    constants = {"starts": [0, 0], "ends": [513, 513], "axes": [2, 3]}
    return save(folder / "large.onnx", nodes, (1, 3, 640, 640), (1, 21, 513, 513), constants)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    x: tuple[int, ...],
    y: tuple[int, ...],
    constants: dict[str, list[int]] | None = None,
) -> Path:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        [numpy_helper.from_array(np.array(v), name) for name, v in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
    return path


def onnxruntime_pairs(
    path: Path, feed: np.ndarray, runs: int, *, ours_first: bool
) -> Iterator[Pair]:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    load = functools.partial(hwrt.load, path, backend="onnxruntime", options={"threads": 1})
    early = load() if ours_first else None
    vendor = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    binding = vendor.io_binding()
    shape = tuple(vendor.get_outputs()[0].shape)
    out = np.empty(shape, np.float32)
    binding.bind_input("x", "cpu", 0, np.float32, feed.shape, feed.ctypes.data)
    binding.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    yield from pairs(
        early or load(),
        feed,
        functools.partial(vendor.run_with_iobinding, binding),
        lambda: vendor.run(None, {"x": feed}),
        "run(None, feeds)",
        {"plus_us": 0.3},
        runs,
    )


def openvino_pairs(path: Path, feed: np.ndarray, runs: int, *, ours_first: bool) -> Iterator[Pair]:
    import openvino

    load = functools.partial(hwrt.load, path, backend="openvino", options={"threads": 1})
    early = load() if ours_first else None
    compiled = openvino.Core().compile_model(
        str(path),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "EXECUTION_MODE_HINT": "ACCURACY",
            "INFERENCE_NUM_THREADS": 1,
        },
    )
    request = compiled.create_infer_request()
    out = np.empty(tuple(compiled.outputs[0].shape), np.float32)
    request.set_input_tensor(0, openvino.Tensor(feed, shared_memory=True))
    request.set_output_tensor(0, openvino.Tensor(out, shared_memory=True))
    yield from pairs(
        early or load(),
        feed,
        request.infer,
        lambda: compiled(feed),
        "compiled(x)",
        {"times": 0.8},
        runs,
    )


def pairs(
    session: hwrt.Session,
    feed: np.ndarray,
    bound: Call,
    usual: Call,
    usual_name: str,
    small_rule: dict[str, float],
    runs: int,
) -> Iterator[Pair]:
    request = session.request()
    np.copyto(request.inputs["x"], feed)
    name = session.plan.backend
    small = feed.nbytes < 1 << 16
    if small:
        yield Pair(f"{name} bound, Request.run", request.run, bound, runs, plus_us=0.15)
    size = "1 op" if small else "1x3x640x640 -> 1x21x513x513"
    yield Pair(
        f"{name} {usual_name}, session.run, {size}",
        lambda: session.run({"x": feed}),
        usual,
        runs,
        **(small_rule if small else {"times": 1.03}),
    )


def per_call_us(call: Call, runs: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(runs):
        call()
    return (time.perf_counter_ns() - start) / runs / 1000


def measure(pair: Pair, rounds: int, *, ours_first: bool) -> list[tuple[float, float]]:
    """(ours, vendor's) in microseconds per call, for each round."""
    gc.disable()
    for call in (pair.ours, pair.vendors):
        per_call_us(call, pair.runs)
    found = []
    for i in range(rounds):
        # Who goes first alternates: the second may find warmer caches.
        if (i % 2 == 0) == ours_first:
            ours, vendors = per_call_us(pair.ours, pair.runs), per_call_us(pair.vendors, pair.runs)
        else:
            vendors, ours = per_call_us(pair.vendors, pair.runs), per_call_us(pair.ours, pair.runs)
        found.append((ours, vendors))
    gc.enable()
    return found


def summary(pair: Pair, rounds: list[tuple[float, float]]) -> dict[str, object]:
    """What the rounds say; a machine that changes its speed between rounds moves both alike."""
    excess = statistics.median(a - b * pair.times - pair.plus_us for a, b in rounds)
    return {
        "pair": pair.name,
        "ours_us": statistics.median(a for a, _ in rounds),
        "vendor_us": statistics.median(b for _, b in rounds),
        "ratio": statistics.median(a / b for a, b in rounds),
        "difference_us": statistics.median(a - b for a, b in rounds),
        "rule": f"ours <= vendor x {pair.times:g} + {pair.plus_us:g} us",
        "met": excess <= 0,
        "rounds_us": rounds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path, help="also write every sample to this file")
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    rounds: dict[str, list[tuple[float, float]]] = {}
    last: dict[str, Pair] = {}
    with tempfile.TemporaryDirectory() as folder:
        sizes = ((relu, (1, 16), 4000), (large, (1, 3, 640, 640), 10))
        for make, shape, runs in sizes:
            path = make(Path(folder))
            feed = generator.standard_normal(shape, dtype=np.float32)
            for vendor, setup in itertools.product(
                (onnxruntime_pairs, openvino_pairs), range(SETUPS)
            ):
                for pair in vendor(path, feed, runs, ours_first=bool(setup % 2)):
                    # Whoever is made first is not always the one that is timed first.
                    each = max(1, arguments.rounds // SETUPS)
                    found = measure(pair, each, ours_first=bool(setup & 2))
                    rounds.setdefault(pair.name, []).extend(found)
                    last[pair.name] = pair
    results = [summary(last[name], found) for name, found in rounds.items()]
    about = {
        "machine": platform.platform(),
        "versions": versions(["numpy", "onnxruntime", "openvino"]),
        "command": " ".join(sys.argv),
    }
    for result in results:
        print(
            f"{result['pair']:<66} {result['ours_us']:>9.2f} us, "
            f"vendor {result['vendor_us']:>9.2f} us, "
            f"ratio {result['ratio']:.3f}, difference {result['difference_us']:+.2f} us; "
            f"{result['rule']}: {'met' if result['met'] else 'NOT met'}"
        )
    print(json.dumps(about))
    if arguments.json:
        arguments.json.write_text(json.dumps({**about, "results": results}, indent=1))


if __name__ == "__main__":
    main()
