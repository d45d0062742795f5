# ruff: noqa: D102 - the name of a test says what it shows
"""What a backend promises of itself: stamp, devices, names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import ClassVar

from hwrt.backend import API_VERSION, Backend, Device, Finding
from hwrt.testing.checking import core
from hwrt.testing.child import child_environment


class Presence:
    """The part of BackendConformance that needs no model."""

    vendor: ClassVar[str]
    device: ClassVar[Device]

    @core
    def test_stamp_and_import_load_no_vendor_module(self, backend: Backend) -> None:
        module, name = type(backend).__module__, type(backend).__qualname__
        code = (
            f"import sys, {module} as m; m.{name}().stamp(); print({self.vendor!r} in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=child_environment(),
        )

        assert done.stdout == "False\n"

    def test_stamp_names_the_installed_version(self, backend: Backend) -> None:
        from importlib.metadata import packages_distributions, version

        distribution = packages_distributions()[self.vendor][0]

        assert version(distribution) in backend.stamp()

    @core
    def test_stamp_is_the_same_each_time(self, backend: Backend) -> None:
        assert backend.stamp() == type(backend)().stamp()

    @core
    def test_devices_have_different_ids_and_the_tested_one_is_among_them(
        self, backend: Backend
    ) -> None:
        ids = [device.id for device in backend.devices()]

        assert self.device.id in ids
        assert len(ids) == len(set(ids))

    @core
    def test_devices_are_the_same_each_time(self, backend: Backend) -> None:
        assert tuple(backend.devices()) == tuple(type(backend)().devices())

    @core
    def test_version_of_the_contract_is_the_plugins_own_literal(self, backend: Backend) -> None:
        own = [cls for cls in type(backend).__mro__ if "api_version" in vars(cls)]

        assert backend.api_version == API_VERSION
        assert own
        assert own[0] is not Backend

    def test_name_is_lower_case_and_without_spaces(self, backend: Backend) -> None:
        assert backend.name == backend.name.lower().replace(" ", "")
        assert backend.name

    def test_findings_say_the_fault_and_its_mend(self, backend: Backend) -> None:
        findings: Iterable[Finding] = backend.diagnose()

        assert all(finding.fault and finding.mend for finding in findings)
