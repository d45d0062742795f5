"""``hwrt doctor``: what works on this machine, what does not, and the mend."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

import hwrt
from hwrt import cache, registry
from hwrt.benchmark.report import error_text, milliseconds, size
from hwrt.cli.checkup import (
    BackendCheck,
    DeviceCheck,
    check_backend,
    check_installation,
    logged_warnings,
)
from hwrt.cli.echo import echo
from hwrt.errors import HwrtError
from hwrt.machine.fingerprint import fingerprint
from hwrt.machine.limits import allowed_threads, memory_limit_bytes
from hwrt.progress import progress_bar
from hwrt.spec import Finding

__all__ = ["command"]

SCHEMA = "hwrt.doctor/1"


@dataclass(frozen=True)
class Checkup:
    """All that doctor found out."""

    machine: Mapping[str, Any]
    kernels: str
    cache: str | None
    warnings: Sequence[str]
    findings: Sequence[Finding]
    backends: Sequence[BackendCheck]

    @property
    def ok(self) -> bool:
        """True when at least one backend ran its check model rightly."""
        return any(backend.status == "ok" for backend in self.backends)

    def to_json(self) -> dict[str, Any]:
        """The same as values for JSON."""
        return {
            "schema": SCHEMA,
            "hwrt": hwrt.__version__,
            "ok": self.ok,
            "machine": dict(self.machine),
            "kernels": self.kernels,
            "cache": self.cache,
            "warnings": list(self.warnings),
            "findings": [vars(finding) for finding in self.findings],
            "backends": [backend.to_json() for backend in self.backends],
        }


@click.command("doctor", short_help="Try each backend and tell how to mend it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> int:
    """Try each backend of this machine and tell how to mend what does not work.

    Every backend runs a tiny model with a known answer, on each of its devices, in a process of its
    own.  The exit code is 0 when at least one of them answered rightly.
    """
    checkup = _examine()
    if as_json:
        click.echo(json.dumps(checkup.to_json(), indent=1, allow_nan=False))
    else:
        for line in _lines(checkup):
            echo(line)
    return 0 if checkup.ok else 1


def _examine() -> Checkup:
    findings = check_installation()
    with logged_warnings() as warnings:
        kernels = _kernels()
        folder = cache.folder()
    names = registry.names()
    checks = []
    with progress_bar() as progress:
        for i, name in enumerate(names):
            if progress is not None:
                progress(i / len(names), f"checking {name}")
            checks.append(check_backend(name))
    machine = {
        **fingerprint(),
        "python": platform.python_version(),
        "threads_allowed": allowed_threads(),
        "memory_limit_bytes": memory_limit_bytes(),
    }
    return Checkup(
        machine, kernels, None if folder is None else str(folder), warnings, findings, checks
    )


def _kernels() -> str:
    from hwrt import kernels

    try:
        return kernels.active()
    except HwrtError as exc:
        return f"none: {exc}"


def _lines(checkup: Checkup) -> Iterator[str]:
    machine = checkup.machine
    cpu = machine["cpu"]
    yield f"hwrt {hwrt.__version__}, Python {machine['python']}, {machine['architecture']}"
    yield (
        f"machine  {cpu['model']}, {cpu['allowed']} of {cpu['online']} CPUs allowed, "
        f"{machine['threads_allowed']} threads"
    )
    limit = machine["memory_limit_bytes"]
    bound = f", of which {size(limit)} allowed" if limit is not None else ""
    yield f"memory   {size(machine['memory_bytes'])}{bound}"
    for accelerator in machine["accelerators"]:
        yield f"{accelerator['kind']:<8} {accelerator['name']}, driver {accelerator['driver']}"
    yield f"kernels  {checkup.kernels}"
    yield f"cache    {checkup.cache or 'none'}"
    yield from (f"  warning: {text}" for text in checkup.warnings)
    yield from _findings(checkup.findings)
    for backend in checkup.backends:
        yield ""
        yield from _backend(backend)
    yield ""
    yield _last(checkup.backends)


def _backend(backend: BackendCheck) -> Iterator[str]:
    version = f" ({backend.version})" if backend.version else ""
    yield f"{backend.name}: {backend.status}{version}"
    if backend.reason:
        yield f"  {backend.reason}"
    if backend.mend:
        yield f"  mend: {backend.mend}"
    for device in backend.devices:
        yield from _device(device)
    yield from _findings(backend.findings)


def _device(check: DeviceCheck) -> Iterator[str]:
    name = f" {check.device.name}" if check.device.name else ""
    yield f"  {check.device.id}{name}: {check.status}"
    if check.reason:
        yield f"    {check.reason}"
    if check.placement is not None:
        error = error_text(check.output_error)
        yield f"    ran as {check.precision} on {check.placement}; output error {error}"
        steps = (
            f"{name.replace('_', ' ')} {milliseconds(seconds)} ms"
            for name, seconds in check.steps_s.items()
        )
        yield f"    {', '.join(steps)}"


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"  {'fault' if finding.fatal else 'note'}: {finding.fault}"
        if finding.mend:
            yield f"    mend: {finding.mend}"


def _last(backends: Sequence[BackendCheck]) -> str:
    if not backends:
        return "no backend is installed; in the checkout of hwrt: pip install -e '.[cpu]'"
    working = [backend.name for backend in backends if backend.status == "ok"]
    if not working:
        return "no backend works: mend one of those above"
    return f"{len(working)} of {len(backends)} backends work: {', '.join(working)}"
