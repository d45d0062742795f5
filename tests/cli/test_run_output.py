"""The JSON document of ``hwrt run``, whatever interrupts it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import click
import pytest

pytest.importorskip("PIL", reason="Pillow is not installed")


def interrupt_writing(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """So many signals come in the middle of the first text that is written."""
    real, left = click.echo, [signal.SIGINT] * times

    def echo(text: str, *, nl: bool = True, **named: Any) -> None:
        middle = len(text) // 2
        real(text[:middle], nl=False, **named)
        while left:
            signal.raise_signal(left.pop())
        real(text[middle:], nl=nl, **named)

    monkeypatch.setattr("hwrt.cli.run_output.click.echo", echo)


def test_ctrl_c_while_an_entry_is_written_leaves_a_whole_document(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_writing(monkeypatch, 1)

    code, out, _ = call("detector.onnx", folder, "--json")

    document = json.loads(out)
    assert (130, 1, "interrupted") == (code, len(document["results"]), document["error"])
    assert signal.default_int_handler is signal.getsignal(signal.SIGINT)


def test_a_second_ctrl_c_does_not_wait(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_writing(monkeypatch, 2)

    code, out, _ = call("detector.onnx", folder, "--json")

    assert 130 == code
    assert "box_xyxy" not in out


def test_a_signal_that_is_ignored_stays_so(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_writing(monkeypatch, 1)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code, out, _ = call("detector.onnx", folder, "--json")
    finally:
        signal.signal(signal.SIGINT, before)

    assert (0, 2) == (code, len(json.loads(out)["results"]))
