"""The progress bar of what takes long: on standard error, and only on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from hwrt.spec import Progress
from hwrt.text import plain

__all__ = ["progress_bar"]


@contextlib.contextmanager
def progress_bar(given: Progress | None = None) -> Iterator[Progress | None]:
    """What to give as ``progress``: the caller's own, else a bar; None where nobody watches."""
    if given is not None or not _is_seen():
        yield given
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(fraction: float, text: str) -> bool:
            bar.update(task, completed=fraction, description=plain(text))
            return True

        yield show


def _is_seen() -> bool:
    """True where standard error is a terminal; a service may have closed it."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:
        return False
