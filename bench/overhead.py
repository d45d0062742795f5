"""What hwrt costs beside the vendors' own calls: ``python bench/overhead.py [--rounds N]``.

Each pair is timed in turn within one process and one run, so that drift of the machine meets both;
the medians over all rounds are reported; ratio and difference are those of each round's two.
Ours and the vendor's must answer alike before they are timed.
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
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import hwrt
from hwrt.machine.versions import versions
from hwrt.testing import graphs
from hwrt.testing.flatbuffer import Payload, Scalar, Table, finish
from hwrt.testing.tflite_writer import write_tflite

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


def relu_tflite(folder: Path) -> Path:
    """The same as ``relu``, with a signature."""
    return write_tflite(graphs.relu((1, 16)), folder / "relu.tflite")


def large_tflite(folder: Path) -> Path:
    """The same as ``large``: SLICE, then CONCATENATION."""
    constants = [np.zeros(4, np.int32), np.array((1, 3, 513, 513), np.int32)]
    shapes = {"x": (1, 3, 640, 640), "part": (1, 3, 513, 513), "y": (1, 21, 513, 513)}
    tensors: list[Table] = [
        {0: np.array(shape, np.int32), 2: Scalar("Uint32", 0), 3: name}
        for name, shape in shapes.items()
    ]
    for i, array in enumerate(constants):
        shape = np.array(array.shape, np.int32)
        tensors.append({0: shape, 1: Scalar("Int8", 2), 2: Scalar("Uint32", i + 1), 3: f"c{i}"})
    slicing = {0: Scalar("Uint32", 0), 1: np.array([0, 3, 4], "i4"), 2: np.array([1], "i4")}
    joining = {0: Scalar("Uint32", 1), 1: np.array([1] * 7, "i4"), 2: np.array([2], "i4")}
    axis = {3: Scalar("Uint8", 10), 4: {0: Scalar("Int32", 1)}}
    graph = {
        0: tensors,
        1: np.array([0], "i4"),
        2: np.array([2], "i4"),
        3: [slicing, {**joining, **axis}],
    }
    model: Table = {
        0: Scalar("Uint32", 3),
        1: [{0: Scalar("Int8", c), 2: Scalar("Int32", 1), 3: Scalar("Int32", c)} for c in (65, 2)],
        2: [graph],
        4: [{}, *[{0: Payload(array.tobytes())} for array in constants]],
        7: [
            {
                0: [{0: "x", 1: Scalar("Uint32", 0)}],
                1: [{0: "y", 1: Scalar("Uint32", 2)}],
                2: "serving_default",
                4: Scalar("Uint32", 0),
            }
        ],
    }
    path = folder / "large.tflite"
    path.write_bytes(finish(model, b"TFL3"))
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


def litert_pairs(path: Path, feed: np.ndarray, runs: int, *, ours_first: bool) -> Iterator[Pair]:
    from ai_edge_litert.interpreter import Interpreter

    load = functools.partial(hwrt.load, path, backend="litert", options={"threads": 1})
    early = load() if ours_first else None
    # Request.run beside the bare invoke(), nothing copied by either; session.run, which copies in
    # and out, beside the signature runner, which does so too.
    vendor, invoked = (Interpreter(str(path), num_threads=1) for _ in range(2))
    invoked.allocate_tensors()
    invoked.set_tensor(invoked.get_input_details()[0]["index"], feed)
    runner = vendor.get_signature_runner()
    yield from pairs(
        early or load(),
        feed,
        invoked.invoke,
        lambda: runner(x=feed),
        "signature runner(x=feed)",
        {"plus_us": 0.3},
        runs,
    )


def pairs(
    session: hwrt.Session,
    feed: np.ndarray,
    bound: Call,
    usual: Callable[[], Any],
    usual_name: str,
    small_rule: dict[str, float],
    runs: int,
) -> Iterator[Pair]:
    request = session.request()
    np.copyto(request.inputs["x"], feed)
    request.run()
    name = session.plan.backend
    for ours in (request.outputs["y"], session.run({"x": feed})["y"]):
        np.testing.assert_array_equal(ours, first(usual()), err_msg=name)
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


def first(outputs: Any) -> np.ndarray:
    """The only output of a vendor's call, which gives a list or a mapping."""
    return outputs[0] if isinstance(outputs, list) else next(iter(outputs.values()))


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
        sizes = (
            (relu, relu_tflite, (1, 16), 4000),
            (large, large_tflite, (1, 3, 640, 640), 10),
        )
        for make_onnx, make_tflite, shape, runs in sizes:
            onnx_file, tflite_file = make_onnx(Path(folder)), make_tflite(Path(folder))
            vendors = (
                (onnxruntime_pairs, onnx_file),
                (openvino_pairs, onnx_file),
                (litert_pairs, tflite_file),
            )
            feed = generator.standard_normal(shape, dtype=np.float32)
            for (vendor, path), setup in itertools.product(vendors, range(SETUPS)):
                for pair in vendor(path, feed, runs, ours_first=bool(setup % 2)):
                    # Whoever is made first is not always the one that is timed first.
                    each = max(1, arguments.rounds // SETUPS)
                    found = measure(pair, each, ours_first=bool(setup & 2))
                    rounds.setdefault(pair.name, []).extend(found)
                    last[pair.name] = pair
    results = [summary(last[name], found) for name, found in rounds.items()]
    about = {
        "machine": platform.platform(),
        "versions": versions(["numpy", "onnxruntime", "openvino", "ai-edge-litert"]),
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
