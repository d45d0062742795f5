"""Text that others wrote, made fit to be shown on a terminal."""

from __future__ import annotations

import re

__all__ = ["plain"]

# Unicode's controls (of which ESC begins what a terminal obeys) and what no encoding takes.
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def plain(text: str) -> str:
    """The text on one line, with control characters and lone surrogates written out.

    A model's metadata, a label, a file's name or a vendor's message may hold escape sequences,
    which would move the cursor, colour the rest or set the window's title.
    """
    return _UNSHOWABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
