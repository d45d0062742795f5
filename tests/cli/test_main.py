from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hwrt.cli import COMMANDS, group, main


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert (0, f"hwrt {version('hwrt-runtime')}\n") == (caught.value.code, capsys.readouterr().out)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])

    assert 0 == caught.value.code
    assert "run " in capsys.readouterr().out


def test_without_arguments_the_help_is_printed_and_the_code_is_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])

    assert 2 == caught.value.code
    assert "Usage: hwrt" in capsys.readouterr().err


def test_an_unknown_command_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fly"])

    assert 2 == caught.value.code
    assert ["hwrt: No such command 'fly'."] == capsys.readouterr().err.splitlines()


def test_a_command_without_its_module_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "fly", "hwrt.cli.fly")

    import click

    assert "fly" not in group.list_commands(click.Context(group))


def test_the_version_imports_no_command() -> None:
    code = (
        "import sys\n"
        "from hwrt.cli import COMMANDS, main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted({*COMMANDS.values()} & {*sys.modules}))\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "[]" == result.stdout.splitlines()[-1]


def test_a_closed_pipe_is_quiet() -> None:
    code = "from hwrt.cli import main; main(['--help'])"
    reader, writer = os.pipe()
    os.close(reader)

    result = subprocess.run(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )

    os.close(writer)
    assert (result.returncode, result.stderr) == (1, "")


def _hwrt(*arguments: str, **streams: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from hwrt.cli import main; main()", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, **streams)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_onto_a_full_disk_is_one_line_and_code_2() -> None:
    with Path("/dev/full").open("wb") as full:
        result = _hwrt("zoo", "list", stdout=full)

    assert (2, b"hwrt: no space is left for the output\n") == (result.returncode, result.stderr)


def test_a_closed_standard_output_is_no_error() -> None:
    result = _hwrt("zoo", "list", preexec_fn=lambda: os.close(1))

    assert (0, b"") == (result.returncode, result.stderr)


def test_an_error_shows_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "\x1b]0;title\x07.onnx"])

    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert r"\x1b]0;title\x07.onnx" in err
