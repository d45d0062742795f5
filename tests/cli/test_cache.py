from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import hwrt
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


def test_list_names_the_models_that_plans_tell_of(
    install: Callable[..., None], relu_model: Callable[..., Path], capsys: Captured
) -> None:
    install("Good", "Judge")
    hwrt.tune(relu_model(), threads=1, budget_s=0.01)
    run("list", "--json")

    entries = json.loads(capsys.readouterr().out)["entries"]
    named = {entry["kind"]: entry["model"] for entry in entries}
    assert (named["plans"], named["memo"], named["proved"]) == ("relu.onnx",) * 3
    run("list")
    assert "relu.onnx  plans/" in capsys.readouterr().out


def test_list_tells_when_an_entry_was_last_used(plan: Path, capsys: Captured) -> None:
    run("list", "--json")

    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["used_s"] == plan.stat().st_mtime


def test_a_damaged_entry_names_no_model(plan: Path, capsys: Captured) -> None:
    plan.write_text("[]")
    run("list", "--json")

    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["model"] is None
