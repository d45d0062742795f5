"""Backends that break one promise each of themselves or of what they compile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hwrt_onnxruntime
from hwrt.backend import (
    CompiledModel,
    Device,
    HwrtError,
    ModelInfo,
    Options,
    Placement,
)

from .faithful import Faithful


class ClaimsReducedPrecision(Faithful):
    def arguments(self, model: ModelInfo, given: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in given["options"].items() if key != "precision"}
        return {**given, "options": Options(kept)}

    def made(self, made: CompiledModel, model: ModelInfo, given: dict[str, Any]) -> None:
        made.precision = given["options"].precision or "f32"


class ClaimsAnotherDevice(Faithful):
    def made(self, made: CompiledModel, model: ModelInfo, given: dict[str, Any]) -> None:
        made.placement = Placement({"gpu:0": 3})


class FallsBackInSilence(Faithful):
    def device(self, device: Device) -> Device:
        return Device("cpu")


class WritesBesideTheModel(Faithful):
    def made(self, made: CompiledModel, model: ModelInfo, given: dict[str, Any]) -> None:
        model.path.with_suffix(".blob").write_bytes(b"engine")


class WritesToTheHomeFolder(Faithful):
    def made(self, made: CompiledModel, model: ModelInfo, given: dict[str, Any]) -> None:
        (Path.home() / "kernels.bin").write_bytes(b"engine")


class IgnoresShapes(Faithful):
    def arguments(self, model: ModelInfo, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "shapes": None}


class IgnoresUnknownOptions(Faithful):
    def arguments(self, model: ModelInfo, given: dict[str, Any]) -> dict[str, Any]:
        known = {k: v for k, v in given["options"].items() if k in ("threads", "precision")}
        return {**given, "options": Options(known)}


class IgnoresCancelling(Faithful):
    def arguments(self, model: ModelInfo, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "progress": None}


class ImportsItsVendorForTheStamp(Faithful):
    def stamp(self) -> str:
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"


class CountsItsStamps(Faithful):
    made_so_far = 0

    def stamp(self) -> str:
        CountsItsStamps.made_so_far += 1
        return f"{super().stamp()} {self.made_so_far}"


class InheritsTheVersionOfTheContract(Faithful):
    api_version = 99


class TrustsDamagedArtefacts(Faithful):
    def compile(self, model: ModelInfo, device: Device, **arguments: Any) -> CompiledModel:
        before = hwrt_onnxruntime.intact
        hwrt_onnxruntime.intact = Path.is_file
        try:
            return super().compile(model, device, **arguments)
        finally:
            hwrt_onnxruntime.intact = before


class RebuildsEachTime(Faithful):
    def compile(self, model: ModelInfo, device: Device, **arguments: Any) -> CompiledModel:
        model.path.stat()
        return super().compile(model, device, **arguments)


class RaisesWhatItsVendorRaises(Faithful):
    def compile(self, model: ModelInfo, device: Device, **arguments: Any) -> CompiledModel:
        try:
            return super().compile(model, device, **arguments)
        except HwrtError as exc:
            raise (exc.__cause__ or exc) from None
