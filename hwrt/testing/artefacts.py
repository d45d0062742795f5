# ruff: noqa: D102 - the name of a test says what it shows
"""What a backend promises of the files that it keeps in ``cache_dir``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import CompiledModel, Range, intact, publish
from hwrt.testing import graphs
from hwrt.testing.checking import Compile, check, core, noise
from hwrt.testing.graph import Graph


class Artefacts:
    """The part of BackendConformance that is about the engine as a file.

    A backend that keeps none lists these tests, but for the two that say so.
    """

    @core
    def test_compiling_again_into_one_cache_dir_is_right(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        graph, feeds = _model(compiled)
        model = compiled.save(graph)
        made = [compiled(model, cache_dir=tmp_path / "cache") for _ in range(2)]

        _alike(*made)
        check(made[0], graph, feeds, rtol=1e-5)
        check(made[1], graph, feeds, rtol=1e-5)

    @core
    def test_cache_dir_that_takes_no_file_costs_no_more_than_a_warning(
        self, compiled: Compile
    ) -> None:
        graph, feeds = _model(compiled)
        model = compiled.save(graph)
        made = compiled(model, cache_dir=model.path / "cache")

        assert made.artefact is None
        check(made, graph, feeds, rtol=1e-5)

    def test_second_compile_needs_the_cache_alone(self, compiled: Compile, tmp_path: Path) -> None:
        graph, feeds = _model(compiled)
        model = compiled.save(graph)
        first = compiled(model, cache_dir=tmp_path / "cache")
        model.path.unlink()
        second = compiled(model, cache_dir=tmp_path / "cache")

        _alike(first, second)
        check(second, graph, feeds, rtol=1e-5)

    @pytest.mark.parametrize("batch", [2, Range(1, 2, 4)], ids=["fixed", "bounded"])
    def test_second_compile_with_shapes_is_like_the_first(
        self, compiled: Compile, tmp_path: Path, batch: int | Range
    ) -> None:
        graph, feeds = _model(compiled)
        model = compiled.save(graph)
        shapes = {"x": (batch, *feeds["x"].shape[1:])}
        first = compiled(model, shapes=shapes, cache_dir=tmp_path / "cache")
        model.path.unlink()
        second = compiled(model, shapes=shapes, cache_dir=tmp_path / "cache")

        _alike(first, second)
        check(second, graph, feeds, rtol=1e-5)

    def test_artefact_is_in_the_cache_dir_and_intact(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        graph, _ = _model(compiled)
        artefact = compiled(graph, cache_dir=tmp_path / "cache").artefact

        assert artefact is not None
        assert artefact.parent == tmp_path / "cache"
        assert intact(artefact)

    @pytest.mark.parametrize(
        "damage", ["flip a bit", "truncate", "empty", "delete", "digest", "no digest"]
    )
    def test_damaged_artefact_is_built_anew(
        self, compiled: Compile, tmp_path: Path, damage: str
    ) -> None:
        graph, feeds = _model(compiled)
        model = compiled.save(graph)
        artefact = compiled(model, cache_dir=tmp_path / "cache").artefact
        assert artefact is not None
        _DAMAGES[damage](artefact)
        made = compiled(model, cache_dir=tmp_path / "cache")

        check(made, graph, feeds, rtol=1e-5)
        assert made.artefact == artefact
        assert intact(artefact)

    def test_refused_artefact_is_built_anew_with_a_warning(
        self, compiled: Compile, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        graph, feeds = _model(compiled)
        model = compiled.save(graph)
        artefact = compiled(model, cache_dir=tmp_path / "cache").artefact
        assert artefact is not None
        _forge(artefact, b"of another version of the vendor's runtime")
        made = compiled(model, cache_dir=tmp_path / "cache")

        check(made, graph, feeds, rtol=1e-5)
        assert str(artefact) in caplog.text

    def test_artefact_that_can_not_be_kept_is_warned_of(
        self, compiled: Compile, caplog: pytest.LogCaptureFixture
    ) -> None:
        graph, _ = _model(compiled)
        model = compiled.save(graph)
        compiled(model, cache_dir=model.path / "cache")

        assert "could not keep" in caplog.text


def _model(compiled: Compile) -> tuple[Graph, Mapping[str, np.ndarray[Any, Any]]]:
    graph = graphs.convolution(compiled.layout)
    shape = tuple(2 if size is None else size for size in graph.inputs[0].shape or ())
    return graph, {"x": noise(shape)}


def _alike(first: CompiledModel, second: CompiledModel) -> None:
    assert (first.inputs, first.outputs) == (second.inputs, second.outputs)
    assert (first.precision, first.placement) == (second.precision, second.placement)
    assert first.artefact == second.artefact


def _forge(artefact: Path, data: bytes) -> None:
    """Other content with a digest that fits."""
    other = artefact.with_name("other")
    other.write_bytes(data)
    publish(other, artefact)


def _digest(artefact: Path) -> Path:
    return artefact.with_name(artefact.name + ".sha256")


def _flip_a_bit(artefact: Path) -> None:
    data = bytearray(artefact.read_bytes())
    data[len(data) // 2] ^= 1
    artefact.write_bytes(data)


_DAMAGES: dict[str, Callable[[Path], Any]] = {
    "flip a bit": _flip_a_bit,
    "truncate": lambda artefact: os.truncate(artefact, artefact.stat().st_size // 2),
    "empty": lambda artefact: os.truncate(artefact, 0),
    "delete": lambda artefact: artefact.unlink(),
    "digest": lambda artefact: _digest(artefact).write_bytes(b"\xff\x00 not even text"),
    "no digest": lambda artefact: _digest(artefact).unlink(),
}
