from __future__ import annotations

import os
import subprocess
import sys

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
        "from hwrt.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('hwrt.cli.')))\n"
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
