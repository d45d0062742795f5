# ruff: noqa: D102 - the name of a test says what it shows
"""What hwrt.backend promises, as tests that every backend's test class inherits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from hwrt.backend import Backend, Device
from hwrt.testing.artefacts import Artefacts
from hwrt.testing.binding import Binding
from hwrt.testing.building import Building
from hwrt.testing.checking import CORE, Compile, Writer
from hwrt.testing.concurrency import Concurrency
from hwrt.testing.entries import FORMAT, formats_of, keys_of, reason_for
from hwrt.testing.faults import Faults
from hwrt.testing.onnx_writer import write_onnx
from hwrt.testing.ownership import Ownership
from hwrt.testing.presence import Presence
from hwrt.testing.shaping import Shaping
from hwrt.testing.tflite_writer import write_tflite
from hwrt.testing.values import Values

__all__ = ["BackendConformance"]


class BackendConformance(
    Presence, Building, Values, Shaping, Ownership, Binding, Concurrency, Artefacts, Faults
):
    """The suite of one backend, which a subclass gives.

    ::

        class TestMine(BackendConformance):
            vendor = "mine"
            unsupported = {"test_shape_that_depends_on_the_data": "engines have fixed shapes"}

            @pytest.fixture
            def backend(self):
                from hwrt_mine import Mine
                return Mine()

    It needs pytest, and nothing of hwrt but its installation; the plugin is installed too, since
    some tests run it in another process.  Where the vendor is absent the file says
    ``pytest.importorskip``: absent is a skip, broken a failure.

    Every test that needs a model runs once for each format that the backend reads and ``writers``
    can write.  What a format has no word for is skipped, "tflite: ..." being the reason, or fails
    where it is of the core.

    It covers: stamp, devices, options, precision and placement against what is true; values against
    NumPy over dtypes, ranks, scalars, no elements, NaN, many tensors, int8; shapes that are
    dynamic, bounded, depend on data, are refused; who owns which memory, past close and resize;
    bind; threads, start and wait, other processes; cache_dir and artefacts; malformed files,
    wrong feeds, failed runs.

    A dtype beyond NumPy's common ones may be refused with UnsupportedModel: that test is skipped
    with the vendor's reason.  What else can never pass is listed in ``unsupported``, and counted by
    hwrt.testing.summary.  f32, dynamic batch, threads and ownership can not be listed.
    """

    vendor: ClassVar[str]
    """The vendor's module, which is not imported before ``compile``, ``devices`` and the like."""
    unsupported: ClassVar[Mapping[str, str]] = {}
    """``test``, ``test[format]``, ``test[parameter]`` or ``test[format-parameter]`` -> why this
    backend can never pass it."""
    device: ClassVar[Device] = Device("cpu")
    """Where the models run."""
    writers: ClassVar[Mapping[str, Writer]] = {"onnx": write_onnx, "tflite": write_tflite}
    """Model format -> what writes a graph as a file of it; a plugin may add its own."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise what needs a model by the formats."""
        if FORMAT in metafunc.fixturenames:
            metafunc.parametrize(FORMAT, formats_of(type(self), self.writers))

    @pytest.fixture(autouse=True)
    def _skip_unsupported(self, request: pytest.FixtureRequest) -> None:
        item = request.node
        item.user_properties.append(("conformance", self.vendor))
        reason = reason_for(item, self.unsupported)
        if reason is not None and item.originalname not in CORE:
            pytest.skip(f"unsupported: {reason}")

    @pytest.fixture
    def compiled(
        self,
        backend: Backend,
        model_format: str,
        tmp_path: Path,
        request: pytest.FixtureRequest,
    ) -> Iterator[Compile]:
        if model_format not in backend.formats:
            pytest.skip(f"{backend.name} does not read {model_format}")
        compile_model = Compile(
            backend,
            self.device,
            model_format=model_format,
            write=self.writers[model_format],
            folder=tmp_path,
            is_core=request.node.originalname in CORE,
        )
        yield compile_model
        compile_model.close()

    # -- the list -------------------------------------------------------------------------------

    def test_the_suite_writes_a_format_that_the_backend_reads(self, backend: Backend) -> None:
        assert backend.formats & set(self.writers), "give `writers` a format of the backend's own"

    def test_every_entry_of_unsupported_names_a_test(self, request: pytest.FixtureRequest) -> None:
        items = [
            item
            for item in request.session.items
            if isinstance(item, pytest.Function) and item.cls is type(self)
        ]
        known = {key for item in items for key in keys_of(item)}
        selected = {item.originalname for item in items}
        # A run of a few tests knows the parameters of those alone.
        unknown = [
            entry
            for entry in self.unsupported
            if not hasattr(type(self), entry.partition("[")[0])
            or (entry.partition("[")[0] in selected and entry not in known)
        ]

        assert unknown == []

    def test_every_entry_of_unsupported_has_a_reason(self) -> None:
        assert [test for test, reason in self.unsupported.items() if not reason.strip()] == []

    def test_the_core_is_never_unsupported(self) -> None:
        listed = {entry.partition("[")[0] for entry in self.unsupported}
        replaced = {
            test for test in CORE if getattr(type(self), test) is not vars(_owner(test))[test]
        }

        assert sorted((listed & CORE) | replaced) == []


def _owner(test: str) -> type:
    """The class of the suite that defines a test."""
    return next(cls for cls in BackendConformance.__mro__ if test in vars(cls))
