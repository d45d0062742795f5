from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from hwrt import log
from hwrt.errors import InputError


@pytest.fixture(autouse=True)
def _undisturbed() -> Iterator[None]:
    kept = log.LOGGER.handlers[:], log.LOGGER.level, log.LOGGER.propagate
    log.configure.cache_clear()
    yield
    log.LOGGER.handlers[:], log.LOGGER.level, log.LOGGER.propagate = kept
    log.configure.cache_clear()


def test_hwrt_log_shows_lines_of_its_level_and_above(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HWRT_LOG", "info")
    log.configure()
    log.configure()
    log.LOGGER.debug("not shown")
    log.LOGGER.info("shown once")

    assert capsys.readouterr().err == "hwrt INFO: shown once\n"


def test_without_hwrt_log_logging_is_left_to_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HWRT_LOG", raising=False)
    log.configure()

    assert (log.LOGGER.handlers, log.LOGGER.level) == ([], logging.NOTSET)


def test_an_unknown_level_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWRT_LOG", "loud")

    with pytest.raises(InputError, match="HWRT_LOG is 'loud'"):
        log.configure()
