"""``hwrt inspect``: what a model file says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hwrt.cli.echo import echo
from hwrt.errors import InputError
from hwrt.spec import ModelInfo, Quantization, TensorSpec

__all__ = ["command"]

SCHEMA = "hwrt.inspect/1"
_MOST_OPERATORS = 10
_LONGEST_VALUE = 60


@click.command("inspect", short_help="Show what a model file says of itself.")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--init", is_flag=True, help="Write MODEL.hwrt.json: what hwrt run must know, to fill in."
)
def command(model: str, as_json: bool, init: bool) -> None:
    """Show the inputs, outputs, operators and metadata of MODEL; nothing is run."""
    import hwrt

    if init and model.startswith("zoo:"):
        raise InputError(
            f"{model} is no file to write a sidecar for", hint="zoo models say all that is needed"
        )
    info = hwrt.inspect(model)
    sidecar = _write_sidecar(info) if init else None
    if as_json:
        document = {"schema": SCHEMA, "model": model, **_document(info)}
        if sidecar is not None:
            document["sidecar"] = str(sidecar)
        click.echo(json.dumps(document, indent=1, allow_nan=False))
        return
    for line in _lines(model, info):
        echo(line)
    if sidecar is not None:
        echo("")
        echo(f"wrote {sidecar}: fill in what is null")


def _document(info: ModelInfo) -> dict[str, Any]:
    """The model info as JSON values, with a name for every part."""
    from hwrt.model import memo

    document = memo.to_json(info)
    for spec in (*document["inputs"], *document["outputs"]):
        if spec["quantization"] is not None:
            spec["quantization"] = spec["quantization"]._asdict()
    document["signatures"] = {
        key: signature._asdict() for key, signature in info.signatures.items()
    }
    return document


def _write_sidecar(info: ModelInfo) -> Path:
    from hwrt.vision.settings import write_template
    from hwrt.vision.sidecar import sidecar_path

    path = sidecar_path(info.path)
    write_template(info, path)
    return path


def _lines(model: str, info: ModelInfo) -> Iterator[str]:
    from hwrt.benchmark.report import count, size

    opsets = ", ".join(f"{domain or 'ai.onnx'} {n}" for domain, n in info.opsets.items())
    facts = {
        "model": model,
        "format": info.format + (f", IR {info.ir_version}" if info.ir_version else ""),
        "opset": opsets,
        "producer": info.producer,
        "name": info.name,
        "size": size(info.size_bytes),
        "parameters": count(info.parameters),
        "quantized": "yes" if info.quantized else "",
        "sha256": info.sha256,
    }
    yield from (f"{name:<12}{value}" for name, value in facts.items() if value)
    yield from _section("inputs", map(_tensor, info.inputs))
    yield from _section("outputs", map(_tensor, info.outputs))
    yield from _section("signatures", _signatures(info))
    yield from _section("operators", _operators(info))
    metadata = (f"{key}: {_shortened(value)}" for key, value in sorted(info.metadata.items()))
    yield from _section("metadata", metadata)
    yield from _section("external", map(str, info.external_files))


def _section(name: str, lines: Iterator[str]) -> Iterator[str]:
    for i, line in enumerate(lines):
        yield f"{name if i == 0 else '':<12}{line}"


def _tensor(spec: TensorSpec) -> str:
    """The spec, what its integers stand for, and what else the file calls it."""
    text = str(spec)
    if spec.quantization is not None:
        text += f" = {_real(spec.quantization)}"
    return f"{text}  ({', '.join(spec.aliases)})" if spec.aliases else text


def _real(quantization: Quantization) -> str:
    """The real numbers for which integers q stand."""
    scale, zero_point, axis = quantization
    if axis is not None:
        return f"scale * (q - zero point), {len(scale)} of each along axis {axis}"
    return f"{scale[0]:.7g} * (q - {zero_point[0]})".replace("- -", "+ ").replace("(q - 0)", "q")


def _signatures(info: ModelInfo) -> Iterator[str]:
    for key, (inputs, outputs) in info.signatures.items():
        chosen = len(info.signatures) > 1 and key == info.signature
        note = "  (the one that is run)" if chosen else ""
        yield f"{key}: {', '.join(inputs)} -> {', '.join(outputs)}{note}"


def _operators(info: ModelInfo) -> Iterator[str]:
    """The most frequent ones, a few on a line."""
    counted = sorted(info.operators.items(), key=lambda item: (-item[1], item[0]))
    texts = [f"{name} {n}" for name, n in counted[:_MOST_OPERATORS]]
    if len(counted) > _MOST_OPERATORS:
        texts.append(f"{len(counted) - _MOST_OPERATORS} other kinds")
    for first in range(0, len(texts), 5):
        yield ", ".join(texts[first : first + 5])


def _shortened(value: str) -> str:
    text = " ".join(value.split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
