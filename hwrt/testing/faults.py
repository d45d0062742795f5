# ruff: noqa: D102 - the name of a test says what it shows
"""What a backend promises where something is wrong: files, feeds, runs, cancelled builds."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import BackendFailure, HwrtError, InputError, ModelError, UnsupportedModel
from hwrt.testing import graphs
from hwrt.testing.checking import Compile, check, check_request, core, noise
from hwrt.testing.graph import Graph, node, tensor

_ROWS = 1 << 18

_WRONG_FEEDS: dict[str, dict[str, Any]] = {
    "size": {"a": np.zeros((_ROWS, 5), "f4"), "b": np.zeros((_ROWS, 2), "f4")},
    "rank": {"a": np.zeros((2, 2, 2), "f4"), "b": np.zeros((2, 2), "f4")},
    "name": {"nothing": np.zeros((2, 2), "f4"), "b": np.zeros((2, 2), "f4")},
}
# What a session refuses before a request sees it: here it must not pass for something else.
_UNCHECKED_FEEDS: dict[str, dict[str, Any]] = {
    "dtype": {"a": np.ones((2, 2), "f8"), "b": np.zeros((2, 2), "f4")},
    "dtype of the same size": {"a": np.ones((2, 2), "i4"), "b": np.zeros((2, 2), "f4")},
    "byte order": {"a": np.ones((2, 2), ">f4"), "b": np.zeros((2, 2), "f4")},
    "missing": {"b": np.zeros((2, 2), "f4")},
    "one more": {name: np.zeros((2, 2), "f4") for name in "abq"},
}


class Faults:
    """The part of BackendConformance that is about what goes wrong."""

    # -- files ----------------------------------------------------------------------------------

    @pytest.mark.parametrize("content", ["garbage", "empty", "truncated", "missing"])
    def test_malformed_file_is_a_model_error(
        self, compiled: Compile, tmp_path: Path, content: str
    ) -> None:
        model = compiled.save(graphs.convolution(compiled.layout), tmp_path / "sound")
        path = tmp_path / f"broken.{compiled.format}"
        data = {
            "garbage": b"\xff\xfe no model",
            "empty": b"",
            "truncated": model.path.read_bytes()[:200],
        }
        if content in data:
            path.write_bytes(data[content])

        with pytest.raises(ModelError, match=rf"broken\.{compiled.format}"):
            compiled(dataclasses.replace(model, path=path))

    def test_unknown_operator_is_an_unsupported_model(self, compiled: Compile) -> None:
        with pytest.raises(UnsupportedModel, match="Bogus"):
            compiled(graphs.unary("Custom", "f4", (4,)))

    def test_sound_model_compiles_after_an_unsound_one(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        graph = graphs.relu()
        model = compiled.save(graph)
        (tmp_path / "broken").write_bytes(b"no model")
        with pytest.raises(HwrtError):
            compiled(dataclasses.replace(model, path=tmp_path / "broken"))

        check(compiled(model), graph, {"x": noise((4,))})

    # -- building -------------------------------------------------------------------------------

    @core
    def test_cancelled_compile_is_a_failure_and_leaves_no_artefact(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        graph = graphs.convolution(compiled.layout)
        with pytest.raises(BackendFailure, match="cancelled"):
            compiled(graph, cache_dir=tmp_path / "cache", progress=lambda *_: False)

        assert not (tmp_path / "cache").exists()

    @core
    def test_progress_is_told_what_happens(self, compiled: Compile) -> None:
        told: list[tuple[float, str]] = []

        def progress(fraction: float, text: str) -> bool:
            told.append((fraction, text))
            return True

        compiled(graphs.convolution(compiled.layout), progress=progress)
        fractions = [fraction for fraction, _ in told]

        assert told
        assert fractions == sorted(fractions)
        assert all(0 <= fraction <= 1 and text for fraction, text in told)

    # -- feeds and runs -------------------------------------------------------------------------

    @core
    @pytest.mark.parametrize("wrong", _WRONG_FEEDS)
    def test_wrong_feed_is_refused_and_the_request_still_works(
        self, compiled: Compile, wrong: str
    ) -> None:
        graph = graphs.add(("N", 2))
        request = compiled(graph).create_request({"a": (2, 2), "b": (2, 2)})
        with pytest.raises(InputError, match=r"\ba\b|nothing"):
            request.infer(_WRONG_FEEDS[wrong])

        a, b = noise((2, 2), seed=1), noise((2, 2), seed=2)
        check_request(request, graph, {"a": a, "b": b})

    @core
    @pytest.mark.parametrize("wrong", _UNCHECKED_FEEDS)
    def test_unchecked_feed_is_never_silent_and_the_request_still_works(
        self, compiled: Compile, wrong: str
    ) -> None:
        graph = graphs.add(("N", 2))
        request = compiled(graph).create_request({"a": (2, 2), "b": (2, 2)})
        with pytest.raises(HwrtError):
            request.infer(_UNCHECKED_FEEDS[wrong])

        check_request(request, graph, {"a": noise((2, 2)), "b": noise((2, 2), seed=2)})

    def test_run_that_fails_leaves_the_request_usable(self, compiled: Compile) -> None:
        graph = graphs.gather()
        request = compiled(graph).create_request({"i": (2,)})
        feeds = {"x": noise((3,)), "i": np.array([2, 0], "i4")}
        for _ in range(3):
            request.inputs["i"][...] = 99
            with contextlib.suppress(HwrtError):
                request.run()

        check_request(request, graph, feeds)

    def test_run_that_fails_leaves_other_requests_right(self, compiled: Compile) -> None:
        graph = graphs.gather()
        made = compiled(graph)
        failing, other = made.create_request(), made.create_request()
        failing.inputs["i"][...] = -99
        with contextlib.suppress(HwrtError):
            failing.run()

        check_request(other, graph, {"x": noise((3,)), "i": np.array([1, 1], "i4")})

    @core
    def test_file_that_changed_is_compiled_anew(self, compiled: Compile) -> None:
        compiled(graphs.relu())
        graph = graphs.unary("Neg", "f4", (4,))

        check(compiled(graph), graph, {"x": noise((4,))})

    @core
    def test_errors_hold_no_request_alive(self, compiled: Compile) -> None:
        made = compiled(graphs.add(("N", 2)))
        for wrong in ("name", "rank"):
            request = made.create_request()
            with pytest.raises(InputError):
                request.infer(_WRONG_FEEDS[wrong])
            request.close()
        gc.collect()
        graph = graphs.add(("N", 2))

        check(made, graph, {"a": noise((1, 2)), "b": noise((1, 2))})

    def test_model_of_no_work_is_right(self, compiled: Compile) -> None:
        x, y = tensor("x", "f4", (4,)), tensor("y", "f4", (4,))
        graph = Graph((x,), (y,), (node("Identity", "x", "y"),))

        check(compiled(graph), graph, {"x": noise((4,))})
