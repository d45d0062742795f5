# ruff: noqa: D102 - the name of a test says what it shows
"""What ``Backend.compile`` promises: options, shapes, files, faults."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import (
    Backend,
    BackendFailure,
    Device,
    InputError,
    Limits,
    ModelError,
    Options,
    Preprocess,
    Range,
    UnsupportedModel,
    intact,
)
from hwrt.testing import models
from hwrt.testing.checking import Compile, check, check_request, noise


class Compiling:
    """The part of BackendConformance that is about ``compile``."""

    # -- options --------------------------------------------------------------------------------

    def test_default_precision_is_f32_and_true(self, compiled: Compile, tmp_path: Path) -> None:
        model = models.matmul(tmp_path)
        made = compiled(model, Options())
        feeds = {"x": noise((4, 512))}

        assert made.precision == "f32"
        check(made, feeds, models.expected(model, feeds), rtol=2e-5)

    def test_everything_runs_where_it_was_asked_to(self, compiled: Compile, tmp_path: Path) -> None:
        assert compiled(models.conv(tmp_path)).placement.devices == ("cpu:0",)

    def test_quantised_model_is_right_in_integers_or_in_f32(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        model = models.quantized_matmul(tmp_path)
        made = compiled(model)
        feeds = {"x": noise((2, 16))}
        one_step = 127 * 0.01 * 0.02

        assert made.precision in ("int8", "f32")
        outputs, wanted = made.create_request().infer(feeds), models.expected(model, feeds)
        np.testing.assert_allclose(outputs["y"], wanted["y"], rtol=0, atol=one_step)

    def test_every_candidate_compiles_and_is_what_it_says(
        self, backend: Backend, compiled: Compile, tmp_path: Path
    ) -> None:
        model = models.conv(tmp_path, batch=1)
        candidates = list(backend.candidates(model, Device("cpu"), Limits(threads=2)))

        assert candidates[0].precision == "f32"
        assert [compiled(model, options).precision for options in candidates] == [
            options.precision for options in candidates
        ]
        assert {options.threads for options in candidates} == {2}

    def test_reference_is_plain_f32(
        self, backend: Backend, compiled: Compile, tmp_path: Path
    ) -> None:
        model = models.conv(tmp_path)
        options = backend.reference(model, Device("cpu"))
        feeds = {"x": noise((2, 3, 16, 16))}

        assert options is not None
        check(compiled(model, options), feeds, models.expected(model, feeds), rtol=1e-5)

    def test_only_the_cpu_is_fit_to_judge(self, backend: Backend, tmp_path: Path) -> None:
        assert backend.reference(models.relu(tmp_path), Device("gpu")) is None

    def test_unknown_option_is_an_input_error(self, compiled: Compile, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="'bogus'"):
            compiled(models.relu(tmp_path), Options(bogus=1))

    def test_unsupported_precision_is_refused(self, compiled: Compile, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedModel, match="'f8'"):
            compiled(models.relu(tmp_path), Options(precision="f8"))

    def test_unknown_device_is_refused(self, backend: Backend, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedModel, match="'toaster:0'"):
            backend.compile(models.relu(tmp_path), Device("toaster"), options=Options())

    def test_preprocess_is_fused_wholly_or_not_at_all(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        model = models.relu(tmp_path, (1, 3, 4, 4))
        preprocess = Preprocess("x", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        made = compiled(model, preprocess=preprocess)

        taken: dict[Any, Any] = {
            None: ("float32", (1, 3, 4, 4)),
            preprocess: ("uint8", (1, 4, 4, 3)),
        }
        assert taken[made.preprocess] == (made.inputs[0].dtype, made.inputs[0].shape)

    # -- shapes ---------------------------------------------------------------------------------

    def test_shapes_fix_the_inputs(self, compiled: Compile, tmp_path: Path) -> None:
        model = models.conv(tmp_path)
        made = compiled(model, shapes={"x": (2, 3, 16, 16)})
        feeds = {"x": noise((2, 3, 16, 16))}

        assert made.inputs[0].shape == (2, 3, 16, 16)
        check(made, feeds, models.expected(model, feeds), rtol=1e-5)

    def test_shape_fixed_by_shapes_does_not_change(self, compiled: Compile, tmp_path: Path) -> None:
        request = compiled(models.relu(tmp_path, ("N", 3)), shapes={"x": (2, 3)}).create_request()

        assert request.inputs["x"].shape == (2, 3)
        with pytest.raises(InputError, match="'x'"):
            request.resize({"x": (3, 3)})
        check_request(request, {"x": noise((2, 3))}, {"y": np.maximum(noise((2, 3)), 0)})

    def test_shapes_fix_dimensions_that_have_no_name(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        made = compiled(models.relu(tmp_path, (None, 3)), shapes={"x": (2, 3)})

        assert made.inputs[0].shape == (2, 3)
        check(made, {"x": noise((2, 3))}, {"y": np.maximum(noise((2, 3)), 0)})

    def test_shapes_of_one_input_leave_the_other_dynamic(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        nodes = [models.node("Neg", "a", "c"), models.node("Neg", "b", "d")]
        tensors = (
            [("a", "f4", ("A",)), ("b", "f4", ("B",))],
            [("c", "f4", ("A",)), ("d", "f4", ("B",))],
        )
        made = compiled(models.save(tmp_path, nodes, *tensors), shapes={"a": (2,)})
        feeds = {"a": noise((2,)), "b": noise((5,))}

        assert [spec.shape for spec in made.inputs] == [(2,), (None,)]
        check(made, feeds, {"c": -feeds["a"], "d": -feeds["b"]})

    def test_range_bounds_a_dimension(self, compiled: Compile, tmp_path: Path) -> None:
        model = models.conv(tmp_path)
        made = compiled(model, shapes={"x": (Range(1, 2, 4), 3, 16, 16)})
        request = made.create_request({"x": (2, 3, 16, 16)})

        assert made.inputs[0].shape == (None, 3, 16, 16)
        for batch in (1, 2, 4):
            feeds = {"x": noise((batch, 3, 16, 16))}
            check_request(request, feeds, models.expected(model, feeds), rtol=1e-5)

    @pytest.mark.parametrize(
        "shapes",
        [
            {"q": (2, 3)},
            {"x": (2, 4)},
            {"x": (2,)},
            {"x": (2, 3, 1)},
            {"x": (-1, 3)},
            {"x": (2, Range(1, 3, 4))},
            {"x": (Range(4, 2, 1), 3)},
        ],
        ids=str,
    )
    def test_shapes_that_do_not_fit_the_model_are_refused(
        self, compiled: Compile, tmp_path: Path, shapes: dict[str, tuple[int | Range, ...]]
    ) -> None:
        with pytest.raises(InputError, match=r"'q'|'x'"):
            compiled(models.relu(tmp_path, ("N", 3)), shapes=shapes)

    # -- files ----------------------------------------------------------------------------------

    def test_only_the_cache_dir_is_written_to(
        self, compiled: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = models.conv(tmp_path / "model")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
        compiled(model, cache_dir=tmp_path / "cache")

        assert [path.name for path in (tmp_path / "model").iterdir()] == ["model.onnx"]
        assert list((tmp_path / "elsewhere").iterdir()) == []
        assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")]

    def test_no_file_is_written_without_a_cache_dir(
        self, compiled: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = models.conv(tmp_path)
        monkeypatch.chdir(tmp_path)
        made = compiled(model)

        assert made.artefact is None
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]

    def test_second_compile_needs_the_cache_alone(self, compiled: Compile, tmp_path: Path) -> None:
        model = models.conv(tmp_path)
        feeds = {"x": noise((2, 3, 16, 16))}
        wanted = models.expected(model, feeds)
        first = compiled(model, cache_dir=tmp_path / "cache")
        model.path.unlink()
        second = compiled(model, cache_dir=tmp_path / "cache")

        assert (first.inputs, first.outputs) == (second.inputs, second.outputs)
        assert (first.precision, first.placement) == (second.precision, second.placement)
        assert first.artefact == second.artefact
        check(second, feeds, wanted, rtol=1e-5)

    def test_artefact_is_in_the_cache_dir_and_intact(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        artefact = compiled(models.conv(tmp_path), cache_dir=tmp_path / "cache").artefact

        assert artefact is not None
        assert artefact.parent == tmp_path / "cache"
        assert intact(artefact)

    @pytest.mark.parametrize(
        "damage", ["flip a bit", "truncate", "empty", "delete", "digest", "no digest"]
    )
    def test_damaged_artefact_is_built_anew(
        self, compiled: Compile, tmp_path: Path, damage: str
    ) -> None:
        model = models.conv(tmp_path)
        feeds = {"x": noise((2, 3, 16, 16))}
        artefact = compiled(model, cache_dir=tmp_path / "cache").artefact
        assert artefact is not None
        DAMAGES[damage](artefact)
        made = compiled(model, cache_dir=tmp_path / "cache")

        check(made, feeds, models.expected(model, feeds), rtol=1e-5)
        assert made.artefact == artefact
        assert intact(artefact)

    def test_refused_artefact_is_built_anew_with_a_warning(
        self, compiled: Compile, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = models.conv(tmp_path)
        feeds = {"x": noise((2, 3, 16, 16))}
        artefact = compiled(model, cache_dir=tmp_path / "cache").artefact
        assert artefact is not None
        _forge(artefact, b"of another version of the vendor's runtime")
        made = compiled(model, cache_dir=tmp_path / "cache")

        check(made, feeds, models.expected(model, feeds), rtol=1e-5)
        assert str(artefact) in caplog.text

    def test_cache_dir_that_takes_no_file_costs_a_warning_and_no_more(
        self, compiled: Compile, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = models.conv(tmp_path)
        feeds = {"x": noise((2, 3, 16, 16))}
        made = compiled(model, cache_dir=model.path / "cache")

        check(made, feeds, models.expected(model, feeds), rtol=1e-5)
        assert made.artefact is None
        assert "could not keep" in caplog.text

    # -- faults ---------------------------------------------------------------------------------

    def test_cancelled_compile_is_a_failure_and_leaves_no_artefact(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        with pytest.raises(BackendFailure, match="cancelled"):
            compiled(models.conv(tmp_path), cache_dir=tmp_path / "cache", progress=lambda *_: False)

        assert not (tmp_path / "cache").exists()

    def test_progress_is_told_what_happens(self, compiled: Compile, tmp_path: Path) -> None:
        told: list[tuple[float, str]] = []

        def progress(fraction: float, text: str) -> bool:
            told.append((fraction, text))
            return True

        compiled(models.conv(tmp_path), progress=progress)

        assert told
        assert all(0 <= fraction <= 1 and text for fraction, text in told)

    @pytest.mark.parametrize("content", ["garbage", "empty", "truncated", "missing"])
    def test_malformed_file_is_a_model_error(
        self, compiled: Compile, tmp_path: Path, content: str
    ) -> None:
        model = models.conv(tmp_path)
        path = tmp_path / "broken.onnx"
        data = {
            "garbage": b"\xff\xfe no model",
            "empty": b"",
            "truncated": model.path.read_bytes()[:200],
        }
        if content in data:
            path.write_bytes(data[content])

        with pytest.raises(ModelError, match=r"broken\.onnx"):
            compiled(dataclasses.replace(model, path=path))

    def test_unknown_operator_is_an_unsupported_model(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        nodes = [models.node("Bogus", "x", "y", domain="nobody.knows")]
        domains = {"nobody.knows": 1}
        tensors = [("x", "f4", (4,))], [("y", "f4", (4,))]
        model = models.save(tmp_path, nodes, *tensors, domains=domains)

        with pytest.raises(UnsupportedModel, match="Bogus"):
            compiled(model)


def _forge(artefact: Path, data: bytes) -> None:
    """Other content with a digest that fits."""
    from hwrt.backend import publish

    other = artefact.with_name("other")
    other.write_bytes(data)
    publish(other, artefact)


def _digest(artefact: Path) -> Path:
    return artefact.with_name(artefact.name + ".sha256")


def _flip_a_bit(artefact: Path) -> None:
    data = bytearray(artefact.read_bytes())
    data[len(data) // 2] ^= 1
    artefact.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "flip a bit": _flip_a_bit,
    "truncate": lambda artefact: os.truncate(artefact, artefact.stat().st_size // 2),
    "empty": lambda artefact: os.truncate(artefact, 0),
    "delete": lambda artefact: artefact.unlink(),
    "digest": lambda artefact: _digest(artefact).write_bytes(b"\xff\x00 not even text"),
    "no digest": lambda artefact: _digest(artefact).unlink(),
}
