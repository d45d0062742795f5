# ruff: noqa: D102 - the name of a test says what it shows
"""What a backend promises of threads and processes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from hwrt.backend import Array, Device, HwrtError, InputError
from hwrt.testing import graphs
from hwrt.testing.checking import Compile, check, check_request, core, noise, same
from hwrt.testing.child import infer_in_child
from hwrt.testing.graph import Graph
from hwrt.testing.reference import evaluate

_THREADS = 8
_RUNS = 60


class Concurrency:
    """The part of BackendConformance that is about several at once."""

    device: ClassVar[Device]

    # -- threads --------------------------------------------------------------------------------

    @core
    def test_8_threads_over_8_requests_get_their_own_answers(self, compiled: Compile) -> None:
        graph = graphs.convolution(compiled.layout, batch=1)
        made = compiled(graph)
        barrier = threading.Barrier(_THREADS)

        def work(seed: int) -> int:
            feeds = {"x": _picture(graph, seed)}
            wanted = evaluate(graph, feeds)
            request = made.create_request()
            barrier.wait(60)
            for _ in range(_RUNS):
                request.inputs["x"][...] = feeds["x"]
                request.run()
                same(request.outputs, wanted, rtol=1e-5)
                same(request.infer(feeds), wanted, rtol=1e-5)
            request.close()
            return 1

        with ThreadPoolExecutor(_THREADS) as pool:
            assert sum(pool.map(work, range(_THREADS))) == _THREADS

    @core
    def test_8_threads_over_requests_of_changing_batch_get_their_own_answers(
        self, compiled: Compile
    ) -> None:
        graph = graphs.relu(("N", 8))
        made = compiled(graph)
        barrier = threading.Barrier(_THREADS)

        def work(seed: int) -> int:
            request = made.create_request()
            barrier.wait(60)
            for i in range(_RUNS):
                check_request(request, graph, {"x": noise((1 + (seed + i) % 5, 8), seed=seed)})
            return 1

        with ThreadPoolExecutor(_THREADS) as pool:
            assert sum(pool.map(work, range(_THREADS))) == _THREADS

    @core
    def test_8_threads_compile_at_once(self, compiled: Compile, tmp_path: Path) -> None:
        graph = graphs.convolution(compiled.layout, batch=1)
        models = [compiled.save(graph, tmp_path / str(i)) for i in range(_THREADS)]
        barrier = threading.Barrier(_THREADS)

        def work(i: int) -> int:
            barrier.wait(60)
            check(compiled(models[i]), graph, {"x": _picture(graph, i)}, rtol=1e-5)
            return 1

        with ThreadPoolExecutor(_THREADS) as pool:
            assert sum(pool.map(work, range(_THREADS))) == _THREADS

    @core
    def test_request_may_go_from_thread_to_thread(self, compiled: Compile) -> None:
        graph = graphs.relu()
        request = compiled(graph).create_request()
        for seed in range(8):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(check_request, request, graph, {"x": noise((4,), seed)}).result()

    # -- start and wait -------------------------------------------------------------------------

    @core
    def test_started_run_is_done_after_wait(self, compiled: Compile) -> None:
        request = compiled(graphs.relu()).create_request()
        for value in (1, 2, 3):
            request.inputs["x"][...] = value
            request.start()
            done = request.wait()

            assert done
            np.testing.assert_array_equal([value] * 4, request.outputs["y"])

    @core
    def test_several_requests_may_be_started_before_any_is_waited_for(
        self, compiled: Compile
    ) -> None:
        graph = graphs.convolution(compiled.layout, batch=1)
        made = compiled(graph)
        requests = [made.create_request() for _ in range(4)]
        for seed, request in enumerate(requests):
            request.inputs["x"][...] = _picture(graph, seed)
            request.start()
        done = [request.wait(60) for request in requests]

        assert done == [True] * 4
        for seed, request in enumerate(requests):
            same(request.outputs, evaluate(graph, {"x": _picture(graph, seed)}), rtol=1e-5)

    @core
    def test_wait_without_a_start_is_true(self, compiled: Compile) -> None:
        assert compiled(graphs.relu()).create_request().wait(0)

    @core
    def test_second_start_before_a_wait_is_an_input_error(self, compiled: Compile) -> None:
        graph = graphs.relu()
        request = compiled(graph).create_request()
        request.start()
        with pytest.raises(InputError, match="running"):
            request.start()
        request.wait()

        check_request(request, graph, {"x": noise((4,))})

    @core
    def test_started_request_is_the_runs_until_it_is_waited_for(self, compiled: Compile) -> None:
        graph = graphs.relu(("N",))
        request = compiled(graph).create_request()
        request.start()
        for use in (
            request.run,
            lambda: request.infer({"x": noise((1,))}),
            lambda: request.resize({"x": (2,)}),
            lambda: request.bind("x", None),
        ):
            with pytest.raises(InputError, match="running"):
                use()
        request.wait()

        check_request(request, graph, {"x": noise((2,))})

    @core
    def test_request_that_was_started_may_be_closed(self, compiled: Compile) -> None:
        graph = graphs.convolution(compiled.layout, batch=1)
        made = compiled(graph)
        request = made.create_request()
        request.start()
        request.close()

        check(made, graph, {"x": _picture(graph, 0)}, rtol=1e-5)

    def test_wait_tells_what_the_run_raised_and_the_next_run_is_right(
        self, compiled: Compile
    ) -> None:
        graph = graphs.gather()
        request = compiled(graph).create_request()
        request.inputs["i"][...] = 99
        request.start()
        try:
            request.wait()
        except HwrtError as exc:
            told = str(exc)
        else:
            pytest.skip("this vendor takes an index out of bounds")

        assert told
        check_request(request, graph, _gathered())

    # -- processes ------------------------------------------------------------------------------

    @core
    def test_another_process_gives_the_same_answers(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        graph = graphs.convolution(compiled.layout)
        model = compiled.save(graph)
        feeds = {"x": _picture(graph, 3, batch=2)}
        outputs, artefact = infer_in_child(
            compiled.backend, model.path, feeds, device=self.device, folder=tmp_path / "child"
        )

        assert artefact is None
        same(outputs, evaluate(graph, feeds), rtol=1e-5)
        check(compiled(model), graph, feeds, rtol=1e-5)

    def test_artefact_of_another_process_is_used(self, compiled: Compile, tmp_path: Path) -> None:
        graph = graphs.convolution(compiled.layout)
        model = compiled.save(graph)
        feeds = {"x": _picture(graph, 3, batch=2)}
        _, artefact = infer_in_child(
            compiled.backend,
            model.path,
            feeds,
            device=self.device,
            folder=tmp_path / "child",
            cache_dir=tmp_path / "cache",
        )
        model.path.unlink()
        made = compiled(model, cache_dir=tmp_path / "cache")

        assert artefact is not None
        assert made.artefact == artefact
        check(made, graph, feeds, rtol=1e-5)


def _picture(graph: Graph, seed: int, batch: int = 1) -> Array:
    shape = tuple(batch if size is None else size for size in graph.inputs[0].shape or ())
    return noise(shape, seed=seed)


def _gathered() -> dict[str, Array]:
    return {"x": noise((3,)), "i": np.array([2, 0], "i4")}
