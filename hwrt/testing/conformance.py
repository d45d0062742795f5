# ruff: noqa: D102 - the name of a test says what it shows
"""What hwrt.backend promises, as tests that every backend's test class inherits."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from hwrt.backend import Backend, SessionError
from hwrt.testing import models
from hwrt.testing.checking import Compile, check_request, noise
from hwrt.testing.compiling import Compiling
from hwrt.testing.requesting import Requesting


class BackendConformance(Compiling, Requesting):
    """The tests of any backend: a subclass gives the fixture ``backend`` and ``vendor``."""

    vendor: ClassVar[str]
    """The name of the vendor's module."""
    unsupported: ClassVar[Mapping[str, str]] = {}
    """Test -> why this backend can never pass it."""

    @pytest.fixture(autouse=True)
    def _skip_unsupported(self, request: pytest.FixtureRequest) -> None:
        if reason := self.unsupported.get(request.node.name):
            pytest.skip(reason)

    @pytest.fixture
    def compiled(self, backend: Backend, tmp_path: Path) -> Iterator[Compile]:
        compile_model = Compile(backend)
        yield compile_model
        compile_model.close()

    # -- the backend itself ---------------------------------------------------------------------

    def test_stamp_and_import_load_no_vendor_module(self, backend: Backend) -> None:
        module, name = type(backend).__module__, type(backend).__name__
        code = (
            f"import sys, {module} as m; m.{name}().stamp(); print({self.vendor!r} in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )

        assert done.stdout == "False\n"

    def test_stamp_names_the_installed_version(self, backend: Backend) -> None:
        from importlib.metadata import packages_distributions, version

        distribution = packages_distributions()[self.vendor][0]

        assert version(distribution) in backend.stamp()

    def test_stamp_is_the_same_each_time(self, backend: Backend) -> None:
        assert backend.stamp() == type(backend)().stamp()

    def test_devices_have_different_ids_and_the_cpu_is_one_of_them(self, backend: Backend) -> None:
        ids = [device.id for device in backend.devices()]

        assert "cpu:0" in ids
        assert len(ids) == len(set(ids))

    def test_devices_are_the_same_each_time(self, backend: Backend) -> None:
        assert tuple(backend.devices()) == tuple(type(backend)().devices())

    # -- threads --------------------------------------------------------------------------------

    def test_8_threads_over_8_requests_get_their_own_answers(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        model = models.conv(tmp_path, batch=1)
        made = compiled(model)

        def work(seed: int) -> int:
            feeds = {"x": noise((1, 3, 16, 16), seed=seed)}
            wanted = models.expected(model, feeds)
            request = made.create_request()
            for _ in range(100):
                check_request(request, feeds, wanted, rtol=1e-5)
            request.close()
            return 1

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(work, range(16))) == 16

    def test_request_may_go_from_thread_to_thread(self, compiled: Compile, tmp_path: Path) -> None:
        request = compiled(models.relu(tmp_path)).create_request()
        for seed in range(8):
            x = noise((4,), seed=seed)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(check_request, request, {"x": x}, {"y": np.maximum(x, 0)}).result()

    def test_started_run_is_done_after_wait(self, compiled: Compile, tmp_path: Path) -> None:
        request = compiled(models.relu(tmp_path)).create_request()
        for value in (1, 2, 3):
            request.inputs["x"][...] = value
            request.start()
            done = request.wait()

            assert done
            np.testing.assert_array_equal([value] * 4, request.outputs["y"])

    # -- the end --------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", ["fixed", "open"])
    def test_arrays_stay_readable_after_everything_is_closed(
        self, compiled: Compile, tmp_path: Path, kind: str
    ) -> None:
        made = compiled(models.relu(tmp_path, (1 << 16 if kind == "fixed" else "N",)))
        request = made.create_request({"x": (1 << 16,)})
        request.inputs["x"][...] = x = noise((1 << 16,))
        request.run()
        x_view, y_view = request.inputs["x"], request.outputs["y"]
        owned = request.infer({"x": x})["y"]
        y_before = y_view.copy()
        request.close()
        made.close()
        compiled.forget()
        del request, made
        gc.collect()

        np.testing.assert_array_equal(y_before, y_view)
        np.testing.assert_array_equal(x, x_view)
        np.testing.assert_array_equal(np.maximum(x, 0), owned)

    def test_closing_twice_is_harmless(self, compiled: Compile, tmp_path: Path) -> None:
        made = compiled(models.relu(tmp_path))
        request = made.create_request()
        request.close()
        request.close()
        made.close()
        made.close()

        with pytest.raises(SessionError, match="closed"):
            request.run()

    @pytest.mark.parametrize("ran", [False, True], ids=["never run", "run before"])
    def test_use_after_close_is_a_session_error(
        self, compiled: Compile, tmp_path: Path, ran: bool
    ) -> None:
        request = compiled(models.relu(tmp_path, ("N",))).create_request()
        if ran:
            request.run()
        request.close()

        for use in (
            request.run,
            request.start,
            request.wait,
            lambda: request.infer({"x": noise((1,))}),
            lambda: request.resize({"x": (2,)}),
            lambda: request.bind("x", None),
            lambda: request.outputs,
        ):
            with pytest.raises(SessionError, match="closed"):
                use()

    def test_closed_compiled_model_gives_no_request(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        made = compiled(models.relu(tmp_path))
        made.close()

        with pytest.raises(SessionError, match="closed"):
            made.create_request()
