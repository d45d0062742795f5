# ruff: noqa: D102 - the name of a test says what it shows
"""What ``compile`` promises of its result: options, precision, placement, preprocess."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from hwrt.backend import (
    CompiledModel,
    Device,
    InputError,
    Limits,
    Options,
    Preprocess,
    UnsupportedModel,
)
from hwrt.testing import graphs
from hwrt.testing.checking import Compile, check, core, noise
from hwrt.testing.graph import Graph
from hwrt.testing.reference import evaluate

# What the relative l2 error of 512 products, summed, is in each precision: never more, and where
# the precision is a reduced one never so little that something better must have computed it.
_ERRORS = {"f32": (0.0, 1e-5), "bf16": (1e-4, 3e-2), "f16": (1e-6, 5e-3)}


class Building:
    """The part of BackendConformance that is about options and what is made of them."""

    device: ClassVar[Device]

    # -- precision ------------------------------------------------------------------------------

    @core
    def test_default_precision_is_f32_and_true(self, compiled: Compile) -> None:
        made = compiled(graphs.matmul(), Options())

        assert made.precision == "f32"
        assert _error(made) < _ERRORS["f32"][1]

    @pytest.mark.parametrize("precision", _ERRORS)
    def test_asked_precision_is_built_and_true_or_refused(
        self, compiled: Compile, precision: str
    ) -> None:
        try:
            made = compiled(graphs.matmul(), Options(precision=precision))
        except UnsupportedModel as exc:
            assert precision != "f32"
            pytest.skip(f"refused: {exc}")
        least, most = _ERRORS[precision]

        assert made.precision == precision
        assert least <= _error(made) <= most

    def test_every_candidate_compiles_and_is_what_it_says(self, compiled: Compile) -> None:
        model = compiled.save(graphs.matmul())
        candidates = list(compiled.backend.candidates(model, self.device, Limits(threads=2)))
        made = [compiled(model, options) for options in candidates]

        assert candidates[0].precision == "f32"
        assert [one.precision for one in made] == [options.precision for options in candidates]
        for one in made:
            least, most = _ERRORS.get(one.precision, (0.0, 1.0))
            assert least <= _error(one) <= most

    def test_candidates_keep_to_the_limit_of_threads(self, compiled: Compile) -> None:
        if self.device.kind != "cpu":
            pytest.skip("threads are bounded on a CPU")
        model = compiled.save(graphs.convolution(compiled.layout, batch=1))
        candidates = list(compiled.backend.candidates(model, self.device, Limits(threads=2)))

        assert {options.threads for options in candidates} <= {1, 2}

    def test_reference_is_plain_f32(self, compiled: Compile) -> None:
        model = compiled.save(graphs.matmul())
        options = compiled.backend.reference(model, self.device)
        if options is None:
            pytest.skip("this backend judges no others")
        made = compiled(model, options)

        assert made.precision == "f32"
        assert _error(made) < _ERRORS["f32"][1]

    def test_only_the_cpu_is_fit_to_judge(self, compiled: Compile) -> None:
        assert compiled.backend.reference(compiled.save(graphs.relu()), Device("gpu")) is None

    def test_unsupported_precision_is_refused(self, compiled: Compile) -> None:
        with pytest.raises(UnsupportedModel, match="'f3'"):
            compiled(graphs.relu(), Options(precision="f3"))

    # -- placement ------------------------------------------------------------------------------

    def test_everything_runs_where_it_was_asked_to(self, compiled: Compile) -> None:
        made = compiled(graphs.convolution(compiled.layout))

        assert made.placement.devices == (self.device.id,)

    def test_placement_names_devices_that_exist_and_counts_operators(
        self, compiled: Compile
    ) -> None:
        placement = compiled(graphs.convolution(compiled.layout)).placement
        ids = {device.id for device in compiled.backend.devices()}

        assert set(placement.devices) <= ids
        assert all(count is None or count > 0 for count in placement.operators.values())

    @core
    def test_unknown_device_is_refused(self, compiled: Compile) -> None:
        model = compiled.save(graphs.relu())

        with pytest.raises(UnsupportedModel, match="'toaster:0'"):
            compiled.backend.compile(model, Device("toaster"), options=Options())

    def test_device_of_an_index_that_is_not_there_is_refused(self, compiled: Compile) -> None:
        model = compiled.save(graphs.relu())
        absent = Device(self.device.kind, 99)

        with pytest.raises(UnsupportedModel, match=f"'{absent.id}'"):
            compiled.backend.compile(model, absent, options=Options())

    # -- options --------------------------------------------------------------------------------

    @core
    def test_unknown_option_is_an_input_error(self, compiled: Compile) -> None:
        with pytest.raises(InputError, match="'bogus'"):
            compiled(graphs.relu(), Options(bogus=1))

    @pytest.mark.parametrize("threads", [1, 2])
    def test_threads_may_be_given(self, compiled: Compile, threads: int) -> None:
        graph = graphs.convolution(compiled.layout, batch=1)

        check(compiled(graph, Options(threads=threads)), graph, _feeds(graph), rtol=1e-5)

    def test_number_of_requests_is_bounded_by_a_whole_number_or_not_at_all(
        self, compiled: Compile
    ) -> None:
        most = compiled(graphs.relu()).max_requests

        assert most is None or most >= 1

    # -- preprocess -----------------------------------------------------------------------------

    def test_preprocess_is_fused_wholly_or_not_at_all(self, compiled: Compile) -> None:
        shape = (1, 3, 4, 5) if compiled.layout == "NCHW" else (1, 4, 5, 3)
        mean, std = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0)
        preprocess = Preprocess("x", mean, std, layout=compiled.layout, reverse_channels=True)
        made = compiled(graphs.relu(shape), preprocess=preprocess)
        frame = np.random.default_rng(1).integers(0, 256, size=(1, 4, 5, 3)).astype("u1")
        taken: dict[Any, Any] = {None: ("float32", shape), preprocess: ("uint8", frame.shape)}
        (spec,) = made.inputs

        assert taken[made.preprocess] == (spec.dtype, spec.shape)
        if made.preprocess is not None:
            pixels = (frame[..., ::-1].astype("f4") - np.array(mean)) / np.array(std)
            pixels = pixels.transpose(0, 3, 1, 2) if compiled.layout == "NCHW" else pixels
            outputs = made.create_request().infer({"x": frame})
            np.testing.assert_allclose(outputs["y"], np.maximum(pixels, 0), rtol=1e-4, atol=1e-4)

    # -- what is written ------------------------------------------------------------------------

    @core
    def test_only_the_cache_dir_is_written_to(
        self, compiled: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = compiled.save(graphs.convolution(compiled.layout), tmp_path / "model")
        elsewhere = _as_home(tmp_path / "elsewhere", monkeypatch)
        compiled(model, cache_dir=tmp_path / "cache").create_request().run()
        cached = list((tmp_path / "cache").rglob("*")) if (tmp_path / "cache").exists() else []

        assert [path.name for path in (tmp_path / "model").iterdir()] == [model.path.name]
        assert list(elsewhere.rglob("*")) == []
        assert [path.name for path in cached if path.name.startswith(".")] == []

    @core
    def test_no_file_is_written_without_a_cache_dir(
        self, compiled: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = compiled.save(graphs.convolution(compiled.layout), tmp_path / "model")
        elsewhere = _as_home(tmp_path / "elsewhere", monkeypatch)
        made = compiled(model)
        made.create_request().run()

        assert made.artefact is None
        assert [path.name for path in (tmp_path / "model").iterdir()] == [model.path.name]
        assert list(elsewhere.rglob("*")) == []


def _as_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, to which everything leads that a vendor may write to unasked."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(folder))
    return folder


def _feeds(graph: Graph) -> dict[str, Any]:
    (spec,) = graph.inputs
    return {spec.name: noise(tuple(size or 1 for size in spec.shape or ()))}


def _error(made: CompiledModel) -> float:
    """The relative l2 error of the product of matrices."""
    graph, x = graphs.matmul(), noise((4, 512))
    wanted = evaluate(graph, {"x": x})["y"].astype("f8")
    outputs = made.create_request().infer({"x": x})
    return float(np.linalg.norm(outputs["y"].astype("f8") - wanted) / np.linalg.norm(wanted))
