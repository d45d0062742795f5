from __future__ import annotations

import pytest

from hwrt.text import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("person", "person"),
        ("Straße 日本 \U0001f600\u3000é", "Straße 日本 \U0001f600\u3000é"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("two\nlines\r\tand\x7f", "two\\nlines\\r\\tand\\x7f"),
        ("\udcff.jpg", "\\udcff.jpg"),
    ],
    ids=ascii,
)
def test_only_what_a_terminal_obeys_is_written_out(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_what_is_shown_can_be_encoded() -> None:
    every = "".join(map(chr, range(0x11000)))

    assert plain(every).encode().decode().count("\n") == 0
