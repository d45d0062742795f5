"""What was picked to run a model, with the evidence for it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwrt.errors import HwrtError, InputError
from hwrt.files import write_atomically
from hwrt.measure.agreement import Judgement
from hwrt.measure.measurement import Candidate, Measurement
from hwrt.spec import Options, Placement, Shapes
from hwrt.tuning.shapes import shapes_from_json

__all__ = ["SCHEMA", "Key", "Plan"]

SCHEMA = "hwrt.plan/1"


@dataclass(frozen=True)
class Key:
    """All that a plan depends on: another model, machine, version or wish needs another plan."""

    model: str
    machine: str
    hwrt: str
    stamps: Mapping[str, str]
    objective: str
    accuracy: str
    shapes: Mapping[str, list[int | list[int]]]
    threads: int
    backends: tuple[str, ...] | None = None
    device: str | None = None
    samples: str | None = None
    max_memory_bytes: int | None = None
    max_p99_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The same as values for JSON."""
        values = {**vars(self), "stamps": dict(self.stamps), "shapes": dict(self.shapes)}
        return {**values, "backends": None if self.backends is None else list(self.backends)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Key:
        """What ``to_json`` made."""
        backends = document["backends"]
        return cls(**{**document, "backends": None if backends is None else tuple(backends)})

    def differences(self, other: Key) -> list[str]:
        """``field: ours, theirs`` for each field in which the other key differs."""
        mine, theirs = self.to_json(), other.to_json()
        return [
            f"{name}: {theirs[name]} there, {mine[name]} here"
            for name in mine
            if mine[name] != theirs[name]
        ]


@dataclass(frozen=True)
class Plan:
    """The chosen backend, device and options, and why: every candidate's measurement.

    ``unverified`` says why the outputs were not checked against a reference; None: they were.
    ``dropped`` maps what was allowed and never measured (a backend without device, a plugin that
    does not import) to its reason.  ``fallback_of`` is the candidate in whose place this one runs,
    ``fallback_reason`` what that one's run raised; None: it is the one that was chosen.

    ``model_name`` is what the model was called, ``model_file`` a digest of where its file lay.
    ``why`` says why this candidate won.  ``machine`` is the fingerprint of where that was measured.
    ``measured_again`` says in what an older plan differed, or what was wrong with it.
    ``reference_check`` says what an independent computation makes of the reference.
    """

    backend: str
    device: str
    options: Options
    precision: str
    placement: Placement
    key: Key
    measurements: tuple[Measurement, ...] = ()
    unverified: str | None = None
    reference: str | None = None
    dropped: Mapping[str, str] = field(default_factory=dict)
    made_at: str = ""
    fallback_of: Candidate | None = None
    fallback_reason: str | None = None
    model_name: str = ""
    model_file: str = ""
    why: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    measured_again: tuple[str, ...] = ()
    reference_check: str | None = None

    @property
    def candidate(self) -> Candidate:
        """What was chosen."""
        return Candidate(self.backend, self.device, self.options)

    @property
    def artefact_sha256(self) -> str | None:
        """Names the compiled file that was judged; None where the backend keeps none."""
        of_candidate = (one for one in self.measurements if one.candidate == self.candidate)
        return next((one.artefact_sha256 for one in of_candidate), None)

    @property
    def judgement(self) -> Judgement | None:
        """By what the chosen candidate's outputs were judged; None where nothing judged them."""
        of_candidate = (one for one in self.measurements if one.candidate == self.candidate)
        return next((one.judgement for one in of_candidate), None)

    @property
    def shapes(self) -> Shapes | None:
        """The shapes that the plan was made for."""
        return shapes_from_json(self.key.shapes)

    def to_json(self) -> str:
        """The plan as a JSON document with ``schema``, and a ``sha256`` by which damage is seen."""
        document = {
            "schema": SCHEMA,
            "backend": self.backend,
            "device": self.device,
            "options": dict(self.options),
            "precision": self.precision,
            "placement": dict(self.placement.operators),
            "unverified": self.unverified,
            "reference": self.reference,
            "dropped": dict(self.dropped),
            "made_at": self.made_at,
            "fallback_of": self.fallback_of and self.fallback_of.to_json(),
            "fallback_reason": self.fallback_reason,
            "model_name": self.model_name,
            "model_file": self.model_file,
            "why": self.why,
            "machine": dict(self.machine),
            "artefact_sha256": self.artefact_sha256,
            "measured_again": list(self.measured_again),
            "reference_check": self.reference_check,
            "key": self.key.to_json(),
            "measurements": [measurement.to_json() for measurement in self.measurements],
        }
        return json.dumps({**document, "sha256": _digest(document)}, indent=1)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the plan to the file, replacing it at once; the path."""
        target = Path(path)
        write_atomically(target, self.to_json().encode())
        return target

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that ``to_json`` wrote.  Raises InputError for anything else.

        Nothing in it may have changed: another option, say, was neither checked nor measured.
        """
        try:
            document = json.loads(text)
            if document["schema"] != SCHEMA:
                raise InputError(
                    f"the plan's schema is {document['schema']!r}, this version reads {SCHEMA!r}",
                    hint="tune anew with this version of hwrt",
                )
            if document.pop("sha256") != _digest(document):
                raise InputError(
                    "the plan is damaged, or was changed by hand",
                    hint="tune anew, or give options= to run what was not measured",
                )
            return cls(
                backend=document["backend"],
                device=document["device"],
                options=Options(document["options"]),
                precision=document["precision"],
                placement=Placement(document["placement"]),
                key=Key.from_json(document["key"]),
                measurements=tuple(map(Measurement.from_json, document["measurements"])),
                unverified=document["unverified"],
                reference=document["reference"],
                dropped=document["dropped"],
                made_at=document["made_at"],
                fallback_of=_candidate(document.get("fallback_of")),
                fallback_reason=document.get("fallback_reason"),
                model_name=document.get("model_name", ""),
                model_file=document.get("model_file", ""),
                why=document.get("why", ""),
                machine=document.get("machine", {}),
                measured_again=tuple(document.get("measured_again", ())),
                reference_check=document.get("reference_check"),
            )
        except HwrtError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            raise InputError(f"this is no plan: {exc!r}", hint="tune anew") from exc

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """The plan in the file.  Raises InputError where it can not be read."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError, TypeError) as exc:  # no text, a null byte; no path
            raise InputError(f"the plan {path} can not be read: {exc}") from exc
        return cls.from_json(text)


def _candidate(document: Mapping[str, Any] | None) -> Candidate | None:
    return None if document is None else Candidate.from_json(document)


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
