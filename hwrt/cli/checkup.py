"""What doctor finds out: this installation, and each backend in processes of its own."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import hwrt
from hwrt import model
from hwrt.cli.check_model import FORMATS, answer, feeds, write_check_model
from hwrt.errors import BackendUnavailable, HwrtError
from hwrt.machine.limits import allowed_threads
from hwrt.measure.output_error import F32, OutputError, Tolerance, compare, within
from hwrt.model import memo
from hwrt.spec import Device, Finding, Placement
from hwrt.tuning.children import Child
from hwrt.tuning.feeds import read_feeds, write_feeds

__all__ = ["BackendCheck", "DeviceCheck", "check_backend", "check_installation", "logged_warnings"]

_DISTRIBUTION = "hwrt-runtime"
_NAMESAKE = "hwrt"
_TIMEOUT_S = 120.0
# A device that has no f32 at all: right enough to show that it works, which is all doctor asks.
_REDUCED = Tolerance(relative_l2=0.05, agreement=0.999)


@dataclass(frozen=True)
class DeviceCheck:
    """How one device ran the check model.  ``status`` is ``ok``, ``wrong`` or ``failed``."""

    device: Device
    status: str
    reason: str | None = None
    precision: str | None = None
    placement: Placement | None = None
    output_error: Mapping[str, OutputError] = field(default_factory=dict)
    steps_s: Mapping[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The same as values for JSON."""
        return {
            "device": self.device.id,
            "name": self.device.name,
            "status": self.status,
            "reason": self.reason,
            "precision": self.precision,
            "placement": None if self.placement is None else dict(self.placement.operators),
            "output_error": {name: e.to_json() for name, e in self.output_error.items()},
            "steps_s": dict(self.steps_s),
        }


@dataclass(frozen=True)
class BackendCheck:
    """How one backend fares.

    ``status`` is ``ok`` where at least one device ran the check model rightly, ``unavailable``
    where there is nothing to run on, ``unchecked`` where doctor has no check model of a format
    that it reads or can not write it here, else ``failed``.
    """

    name: str
    status: str
    version: str | None = None
    reason: str | None = None
    mend: str | None = None
    devices: tuple[DeviceCheck, ...] = ()
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The same as values for JSON."""
        return {
            **vars(self),
            "devices": [device.to_json() for device in self.devices],
            "findings": [vars(finding) for finding in self.findings],
        }


def check_backend(name: str) -> BackendCheck:
    """Probe the backend, run the check model on each of its devices, and ask for its findings.

    Each step has a process of its own: a crash is a reason, not an end.
    """
    with tempfile.TemporaryDirectory(prefix="hwrt-doctor-") as scratch:
        folder = Path(scratch)
        findings = _findings(name)
        try:
            with _child(name) as child:
                probed = _probe(child, name, None)
                model_format = _checked_format(probed["formats"])
                info = _check_model(folder, model_format) if model_format else None
                probed = _probe(child, name, info)
        except HwrtError as exc:
            status = "unavailable" if isinstance(exc, BackendUnavailable) else "failed"
            findings = tuple(found for found in findings if exc.message not in found.fault)
            return BackendCheck(name, status, None, exc.message, exc.hint, (), findings)
        except ImportError as exc:  # of what writes the check model: the backend is in the child
            reason = f"its check model can not be written: {exc}"
            mend = f"pip install {exc.name}" if exc.name else None
            return BackendCheck(name, "unchecked", None, reason, mend, (), findings)
        version = probed["stamp"]
        if info is None or model_format is None:
            reason = f"it reads {', '.join(probed['formats'])}: there is no check model of these"
            return BackendCheck(name, "unchecked", version, reason, None, (), findings)
        write_feeds(folder / "feeds", [feeds(model_format)])
        devices = tuple(
            _check_device(name, info, described, folder / f"outputs-{i}", folder / "feeds")
            for i, described in enumerate(probed["devices"])
        )
    status = "ok" if any(device.status == "ok" for device in devices) else "failed"
    missing = None if devices else "it lists no devices"
    return BackendCheck(name, status, version, missing, None, devices, findings)


def _checked_format(formats: Collection[str]) -> str | None:
    return next((known for known in FORMATS if known in formats), None)


def _check_model(folder: Path, model_format: str) -> dict[str, Any]:
    return memo.to_json(model.read(write_check_model(folder, model_format)))


def check_installation() -> tuple[Finding, ...]:
    """What is wrong with how hwrt itself is installed."""
    found = []
    ours = _version(_DISTRIBUTION)
    if _version(_NAMESAKE) is not None:
        found.append(
            Finding(
                f"the distribution {_NAMESAKE!r} (handwriting recognition, another project) is "
                "installed over this one: both have the import name hwrt",
                f"pip uninstall -y {_NAMESAKE} {_DISTRIBUTION}; then, in the checkout of "
                f"{_DISTRIBUTION}: pip install -e '.[cpu]'",
                fatal=True,
            )
        )
    elif ours is None:
        found.append(
            Finding(
                f"{_DISTRIBUTION} is not installed ({Path(hwrt.__path__[0])} was imported from "
                "its folder), so that no backend is registered",
                "in the checkout: pip install -e '.[cpu]'",
                fatal=True,
            )
        )
    elif getattr(hwrt, "__version__", None) != ours:
        found.append(
            Finding(
                f"the package hwrt in {Path(hwrt.__path__[0])} has the version "
                f"{getattr(hwrt, '__version__', None)}, {_DISTRIBUTION} was installed as {ours}",
                "in the checkout: pip install -e '.[cpu]'",
            )
        )
    return tuple(found)


@contextlib.contextmanager
def logged_warnings() -> Iterator[list[str]]:
    """Collects what hwrt warns of, rather than have it printed between the lines."""
    texts: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())

    logger, collector = logging.getLogger("hwrt"), Collector(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(collector)
    try:
        yield texts
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagate


@contextlib.contextmanager
def _child(name: str) -> Iterator[Child]:
    child = Child(name)
    try:
        yield child
    finally:
        child.close()


def _probe(child: Child, name: str, info: Mapping[str, Any] | None) -> Mapping[str, Any]:
    limits = {"threads": allowed_threads()}
    return child.ask("probe", timeout_s=_TIMEOUT_S, backend=name, model=info, limits=limits)


def _findings(name: str) -> tuple[Finding, ...]:
    try:
        with _child(name) as child:
            found = child.ask("diagnose", timeout_s=_TIMEOUT_S, backend=name)["findings"]
    except BackendUnavailable:
        return ()  # the probe tells that too
    except HwrtError as exc:
        return (Finding(f"its diagnosis failed: {exc.message}", exc.hint or ""),)
    return tuple(Finding(**finding) for finding in found)


def _check_device(
    name: str, info: Mapping[str, Any], described: Mapping[str, Any], outputs: Path, feeds: Path
) -> DeviceCheck:
    device = Device(**described["device"])
    if not described["candidates"]:
        return DeviceCheck(device, "failed", "it names no candidate for the check model")
    try:
        with _child(name) as child:
            _probe(child, name, info)
            built = child.ask(
                "compile",
                timeout_s=_TIMEOUT_S,
                model=info,
                device=device.id,
                options=described["candidates"][0],
                shapes={},
                feeds=str(feeds),
                cache_dir=None,
            )
            ran = child.ask("first_run", timeout_s=_TIMEOUT_S)
            child.ask("answer", timeout_s=_TIMEOUT_S, folder=str(outputs))
    except HwrtError as exc:
        return DeviceCheck(device, "failed", str(exc))
    errors = compare(read_feeds(outputs)[0], answer())
    reason = within(errors, F32 if built["precision"] == "f32" else _REDUCED)
    cold = {**built["cold"], "first_inference_s": ran["first_inference_s"]}
    return DeviceCheck(
        device,
        "ok" if reason is None else "wrong",
        reason,
        built["precision"],
        Placement(built["placement"]),
        errors,
        {step: cold[f"{step}_s"] for step in ("import", "compile", "first_inference")},
    )


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
