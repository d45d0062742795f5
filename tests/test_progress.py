from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator

import pytest

from hwrt.progress import progress_bar


def _written(reader: int) -> Iterator[bytes]:
    """All that was written to the terminal; Linux ends it with EIO."""
    with contextlib.suppress(OSError):
        while data := os.read(reader, 1 << 16):
            yield data


def test_without_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as progress:
        assert progress is None

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "none"])
def test_without_a_standard_error_there_is_no_bar(
    monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream if is_closed else None)
    with progress_bar() as progress:
        assert progress is None


def test_on_a_terminal_the_bar_goes_to_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)

        with progress_bar() as progress:
            assert progress is not None
            goes_on = progress(0.5, "timing [red]alpha\x1b[2J")

    shown = b"".join(_written(reader))
    os.close(reader)
    assert goes_on
    assert rb"timing [red]alpha\x1b[2J" in shown
