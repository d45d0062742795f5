"""The command ``hwrt``: one file per subcommand, imported when it is called.

Exit codes: 0 done; 1 the work ran and the answer is no, or nothing works; 2 bad usage or bad input,
one line on stderr.  Anything that hwrt did not raise on purpose is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence

import click

import hwrt
from hwrt.cli.echo import echo
from hwrt.errors import HwrtError, NoBackend
from hwrt.log import configure

__all__ = ["COMMANDS", "group", "main"]

COMMANDS = {
    "bench": "hwrt.cli.bench",
    "cache": "hwrt.cli.cache",
    "doctor": "hwrt.cli.doctor",
    "explain": "hwrt.cli.explain",
    "inspect": "hwrt.cli.inspect",
    "run": "hwrt.cli.run",
    "tune": "hwrt.cli.tune",
    "zoo": "hwrt.cli.zoo",
}
"""Command -> the module whose ``command`` it is."""

_INTERRUPTED = 130


class CommandTable(click.Group):
    """A group that finds its commands in COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands that this installation has."""
        return [name for name, module in COMMANDS.items() if importlib.util.find_spec(module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported; None where there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return command


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"hwrt {hwrt.__version__}")
        ctx.exit()


@click.command(
    cls=CommandTable,
    help="Runs a model on the fastest backend of this device, chosen by measuring.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def group() -> None:
    """The group of all commands."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (by default this process's) and exit with its code."""
    sys.exit(_exit_code(arguments))


def _exit_code(arguments: Sequence[str] | None) -> int:
    try:
        configure()
        code = group.main(args=arguments, prog_name="hwrt", standalone_mode=False)
        _flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message(), err=True)
        return 2
    except click.ClickException as exc:
        return _fail(exc.format_message(), 2, context=getattr(exc, "ctx", None))
    except NoBackend as exc:
        for line in f"hwrt: {exc}".splitlines():  # one line more for each backend's reason
            echo(line, err=True)
        return 1
    except HwrtError as exc:
        return _fail(str(exc), 2)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:  # the reader of our output is gone: nothing is left to say
        _drop_output()
        return 1
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        _drop_output()
        return _fail("no space is left for the output", 2)


def _flush() -> None:
    if sys.stdout is not None:  # None: started with a closed standard output
        sys.stdout.flush()


def _drop_output() -> None:
    """Let what could not be written go, so that Python does not try again at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int, *, context: click.Context | None = None) -> int:
    command = context.command_path if context else "hwrt"
    echo(f"{command}: {' '.join(message.split())}", err=True)
    return code
