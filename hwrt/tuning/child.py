"""The process in which one candidate is tried: vendor code may crash or hang here.

The parent sends JSON lines over a socket and gets one line back for each.  Standard output and
error carry whatever the vendor prints.  The process ends with its parent.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hwrt import registry
from hwrt.backend import Array, Backend, CompiledModel, Request
from hwrt.errors import HwrtError, InputError
from hwrt.files import artefact_digest
from hwrt.machine.memory import peak_rss_bytes
from hwrt.measure.sampling import best_in_flight, sample, sample_in_flight
from hwrt.measure.warm_up import warm_up
from hwrt.model import memo
from hwrt.spec import Device, Limits, ModelInfo, Options
from hwrt.tuning import onnx_reference
from hwrt.tuning.feeds import read_feeds, write_arrays
from hwrt.tuning.shapes import shapes_from_json

_PR_SET_PDEATHSIG = 1
_RESUME_S = 0.01


class Candidate:
    """The candidate that this process holds, from ``probe`` to ``sample``."""

    def __init__(self) -> None:
        self._backend: Backend | None = None
        self._import_s = 0.0
        self._devices: dict[str, Device] = {}
        self._compiled: CompiledModel | None = None
        self._request: Request | None = None
        self._calls: list[Callable[[], object]] = []
        self._lines: list[list[Callable[[], object]]] = []
        self._feeds: list[dict[str, Array]] = []

    def probe(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Version, formats, devices and for each device its candidates and reference options."""
        started = time.perf_counter()
        backend = registry.backend(message["backend"])
        stamp = backend.stamp()
        devices = list(backend.devices())
        self._import_s = time.perf_counter() - started
        self._backend = backend
        self._devices = {device.id: device for device in devices}
        model = memo.from_json(message["model"]) if message.get("model") else None
        limits = Limits(**message["limits"])
        return {
            "stamp": stamp,
            "formats": sorted(backend.formats),
            "devices": [self._describe(device, model, limits) for device in devices],
        }

    def _describe(self, device: Device, model: ModelInfo | None, limits: Limits) -> dict[str, Any]:
        assert self._backend is not None
        described: dict[str, Any] = {"device": vars(device), "candidates": [], "reference": None}
        if model is not None and model.format in self._backend.formats:
            candidates = self._backend.candidates(model, device, limits)
            reference = self._backend.reference(model, device)
            # A plugin may give any mapping: it is checked here, where its fault is its own.
            described["candidates"] = [dict(Options(options)) for options in candidates]
            described["reference"] = None if reference is None else dict(Options(reference))
        return described

    def diagnose(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What the backend finds wrong with its installation."""
        found = registry.backend(message["backend"]).diagnose()
        return {"findings": [vars(finding) for finding in found]}

    def prove(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Compile the model, run it once, and drop it; ``fault`` is what the run raised, if so."""
        compiled = self._build(message)
        (feeds,) = read_feeds(Path(message["feeds"]))
        fault = None
        try:
            request = compiled.create_request({name: x.shape for name, x in feeds.items()})
            request.infer(feeds)
            request.close()
        except Exception as exc:  # noqa: BLE001 - whatever a vendor raises: it did not crash
            fault = f"{type(exc).__name__}: {exc}"
        compiled.close()
        return {"fault": fault}

    def _build(self, message: Mapping[str, Any]) -> CompiledModel:
        assert self._backend is not None
        return self._backend.compile(
            memo.from_json(message["model"]),
            self._devices[message["device"]],
            options=Options(message["options"]),
            shapes=shapes_from_json(message["shapes"]),
            cache_dir=Path(message["cache_dir"]) if message["cache_dir"] else None,
        )

    def compile(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Compile the model and make one request; what was built and what that took."""
        cached = bool(message["cache_dir"]) and Path(message["cache_dir"]).is_dir()
        started = time.perf_counter()
        compiled = self._build(message)
        compile_s = time.perf_counter() - started
        self._compiled = compiled
        self._feeds = read_feeds(Path(message["feeds"]))
        self._request = compiled.create_request(
            {name: array.shape for name, array in self._feeds[0].items()}
        )
        return {
            "precision": compiled.precision,
            "placement": dict(compiled.placement.operators),
            "max_requests": compiled.max_requests,
            "peak_rss_bytes": peak_rss_bytes(),
            "artefact_sha256": artefact_digest(compiled.artefact) if compiled.artefact else None,
            "cold": {
                "import_s": self._import_s,
                "compile_s": compile_s,
                "cache_hit": cached,
            },
        }

    def first_run(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Run the first set of feeds once; how long that took."""
        request = self._ready()
        started = time.perf_counter()
        request.infer(self._feeds[0])
        seconds = time.perf_counter() - started
        return {"first_inference_s": seconds, "peak_rss_bytes": peak_rss_bytes()}

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Write the outputs for every set of feeds below the given folder."""
        request = self._ready()
        for i, feeds in enumerate(self._feeds):
            write_arrays(Path(message["folder"]) / f"{i:04d}", request.infer(feeds))
        return {}

    def warm_up(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Run until the time of a run settles, or the cap is reached."""
        request = self._ready()
        self._calls = [_bind(request.infer, feeds) for feeds in self._feeds]
        warmed = warm_up(self._calls, window_s=message["window_s"], cap_s=message["cap_s"])
        return {"warm_up": warmed.to_json(), "peak_rss_bytes": peak_rss_bytes()}

    def choose_in_flight(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Find with how many requests in flight most inferences end in a second.

        ``counts`` are the numbers to try.  Only as many requests are kept.
        """
        assert self._compiled is not None
        shapes = {name: array.shape for name, array in self._feeds[0].items()}
        requests = [self._ready()]
        while len(requests) < max(message["counts"]):
            requests.append(self._compiled.create_request(shapes))
        # Each begins with another set of feeds.
        turns = [
            self._feeds[i % len(self._feeds) :] + self._feeds[: i % len(self._feeds)]
            for i in range(len(requests))
        ]
        lines = [
            [_bind(request.infer, feeds) for feeds in turn]
            for request, turn in zip(requests, turns, strict=True)
        ]
        chosen = best_in_flight(lines, message["counts"], seconds=message["seconds"])
        for request in requests[chosen:]:
            request.close()
        self._lines = lines[:chosen]
        return {"in_flight": chosen, "peak_rss_bytes": peak_rss_bytes()}

    def sample_in_flight(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Time runs of all requests at once."""
        sample(self._calls, seconds=_RESUME_S, max_seconds=_RESUME_S)
        samples, rate = sample_in_flight(self._lines, seconds=message["seconds"])
        return {"samples_s": samples, "rate_per_s": rate, "peak_rss_bytes": peak_rss_bytes()}

    def sample(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Time runs, rotating over the feeds."""
        # Another candidate ran meanwhile: what it threw out of the caches is not ours to count.
        sample(self._calls, seconds=_RESUME_S, max_seconds=_RESUME_S)
        samples = sample(
            self._calls,
            seconds=message["seconds"],
            min_samples=message["min_samples"],
            max_seconds=message["max_seconds"],
        )
        return {"samples_s": samples, "peak_rss_bytes": peak_rss_bytes()}

    def _ready(self) -> Request:
        if self._request is None:
            raise InputError("nothing is compiled in this process", hint="send 'compile' first")
        return self._request


def _bind(
    infer: Callable[[Mapping[str, Array]], object], feeds: dict[str, Array]
) -> Callable[[], object]:
    return lambda: infer(feeds)


def main(descriptor: int, parent: int) -> None:
    """Serve the parent on this socket until it closes it."""
    _die_with(parent)
    faulthandler.enable()
    with socket.socket(fileno=descriptor) as channel, channel.makefile("rw") as lines:
        candidate = Candidate()
        for line in lines:
            message = json.loads(line)
            lines.write(json.dumps(_reply(candidate, message)) + "\n")
            lines.flush()
    # Vendors' exit handlers crash or hang often enough; nothing here is worth waiting for.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _reply(candidate: Candidate, message: Mapping[str, Any]) -> dict[str, Any]:
    operations = {
        "probe": candidate.probe,
        "diagnose": candidate.diagnose,
        "prove": candidate.prove,
        "compile": candidate.compile,
        "first_run": candidate.first_run,
        "answer": candidate.answer,
        "warm_up": candidate.warm_up,
        "sample": candidate.sample,
        "choose_in_flight": candidate.choose_in_flight,
        "sample_in_flight": candidate.sample_in_flight,
        "evaluate": onnx_reference.evaluated,
    }
    try:
        return {"ok": operations[message["op"]](message)}
    except HwrtError as exc:
        return {"error": type(exc).__name__, "message": exc.message, "hint": exc.hint}
    except Exception as exc:  # noqa: BLE001 - whatever a vendor raises is the candidate's reason
        text = f"{message['op']} raised {type(exc).__name__}: {exc}"
        return {"error": "BackendFailure", "message": text, "hint": None}


def _die_with(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
