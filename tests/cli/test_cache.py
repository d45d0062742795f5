from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwrt import cache
from hwrt.cli import main

Captured = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["cache", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def plan() -> Path:
    path = cache.location() / "plans" / f"{'0' * 32}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 2048)
    return path


def test_list_tells_each_entry_and_the_sum(plan: Path, capsys: Captured) -> None:
    code = run("list")

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0].split() == ["plans", "2.00", "KiB", f"plans/{plan.name}"]
    assert lines[1] == f"2.00 KiB in {cache.location()}"


def test_list_as_json_is_one_document_with_its_schema(plan: Path, capsys: Captured) -> None:
    run("list", "--json")

    document = json.loads(capsys.readouterr().out)
    (entry,) = document["entries"]
    assert (document["schema"], document["size_bytes"]) == ("hwrt.cache/1", 2048)
    assert (entry["kind"], entry["path"], entry["size_bytes"]) == ("plans", str(plan), 2048)


def test_list_of_no_cache_is_empty_and_makes_none(capsys: Captured) -> None:
    code = run("list")

    assert (code, capsys.readouterr().out) == (0, f"0 bytes in {cache.location()}\n")
    assert not cache.location().exists()


def test_clear_deletes_the_entries_and_nothing_else(plan: Path, capsys: Captured) -> None:
    other = cache.location() / "notes.txt"
    other.write_text("mine")

    code = run("clear")

    assert (code, capsys.readouterr().out) == (0, f"2.00 KiB freed in {cache.location()}\n")
    assert (plan.exists(), other.exists()) == (False, True)
