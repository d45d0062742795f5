from __future__ import annotations

import io
import sys

import pytest

from hwrt.cli.frame_rate import FrameRate


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ticks(rate: FrameRate, clock: Clock, count: int, step_s: float) -> None:
    for _ in range(count):
        rate.tick()
        clock.now += step_s


def test_the_rate_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    clock = Clock()

    ticks(FrameRate(clock=clock), clock, 41, 0.05)

    assert "20.0 frames/s, 38 frames" in sys.stderr.getvalue().split("\r\x1b[K")[-1]


def test_the_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    clock = Clock()
    rate = FrameRate(clock=clock)

    ticks(rate, clock, 50, 0.05)
    ticks(rate, clock, 20, 0.5)

    assert "2.0 frames/s, 70 frames" in sys.stderr.getvalue().split("\r\x1b[K")[-1]


def test_the_rate_is_not_shown_with_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    clock = Clock()

    ticks(FrameRate(clock=clock), clock, 1001, 0.001)

    assert 2 <= sys.stderr.getvalue().count("frames/s") <= 5


def test_the_rate_is_there_between_the_lines_of_every_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    clock = Clock()
    rate = FrameRate(clock=clock)
    ticks(rate, clock, 41, 0.05)
    shown = sys.stderr.getvalue().split("\r\x1b[K")[-1]

    rate.clear()
    ticks(rate, clock, 1, 0.05)

    assert "frames/s" in shown
    assert sys.stderr.getvalue().endswith(f"\r\x1b[K\r\x1b[K{shown}")


def test_nothing_is_written_into_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    clock = Clock()
    rate = FrameRate(clock=clock)

    ticks(rate, clock, 100, 0.1)
    rate.clear()

    assert "" == sys.stderr.getvalue()


def test_the_line_is_cleared_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    clock = Clock()
    rate = FrameRate(clock=clock)

    rate.clear()
    before = sys.stderr.getvalue()
    ticks(rate, clock, 20, 0.1)
    rate.clear()

    assert "" == before
    assert sys.stderr.getvalue().endswith("\r\x1b[K")
