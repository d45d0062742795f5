"""docs/adding_a_backend.md leads from a copy of the template to a green suite."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding_a_backend.md").read_text(encoding="utf-8")
END = "-- the end of a block --"

pytestmark = pytest.mark.slow


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [text for of, text in fenced if of == language]


def without_numbers(text: str) -> list[str]:
    return [
        re.sub(r"[0-9]+(\.[0-9]+)?(e-[0-9]+)?", "N", line).strip() for line in text.splitlines()
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin's folder, beside a checkout of hwrt."""
    checkout = tmp_path_factory.mktemp("work") / "hwrt"
    checkout.mkdir()
    (checkout / "tests").symlink_to(ROOT / "tests")
    return checkout.with_name("hwrt-mine")


@pytest.fixture(scope="module")
def printed(environment: Environment, folder: Path) -> list[str]:
    """What each block of commands prints, all typed into one shell."""
    script = "\n".join(f"{block}echo '{END}'" for block in blocks("sh"))
    return environment.shell(script, folder.with_name("hwrt")).split(f"{END}\n")


def said_by(printed: list[str], command: str) -> str:
    """What the first block that holds this command printed."""
    return next(
        text for block, text in zip(blocks("sh"), printed, strict=False) if command in block
    )


def test_the_copy_is_shown_by_doctor_as_on_the_page(printed: list[str]) -> None:
    shown = [*without_numbers(blocks("")[0]), ""]
    lines = without_numbers(said_by(printed, "hwrt doctor"))

    assert shown[0] in lines
    assert lines[lines.index(shown[0]) :][: len(shown)] == shown


def test_bench_shows_the_copy_beside_the_others(printed: list[str]) -> None:
    rows = [line.lstrip("* ").split() for line in said_by(printed, "hwrt bench").splitlines()]
    backends = [row[0] for row in rows if row[1:3] == ["cpu:0", "f32"]]

    assert "mine" in backends
    assert len(set(backends)) > 1


def test_the_copys_suite_is_green(printed: list[str]) -> None:
    (shown,) = blocks("")[1].splitlines()
    lines = without_numbers(said_by(printed, "python -m pytest -q\n"))

    assert shown in lines
    assert re.fullmatch("N passed, N skipped in .*", lines[-1])


def test_a_device_that_is_absent_is_skipped_with_its_reason(printed: list[str]) -> None:
    text = said_by(printed, "cat > tests/test_npu.py")

    assert re.search(r"test_npu\.py:\d+: there is no npu:0", text)


def test_the_wheel_is_built(printed: list[str], folder: Path) -> None:
    assert printed
    assert [path.name for path in (folder / "dist").iterdir()] == [
        "hwrt_mine-0.1.0-py3-none-any.whl"
    ]


def test_the_copy_is_used_from_python(
    printed: list[str], environment: Environment, folder: Path
) -> None:
    assert printed
    (example,) = [block for block in blocks("python") if "import hwrt\n" in block]
    (folder / "example.py").write_text(example)

    assert "[1., 0., 0., 0.]" in environment.shell("python example.py", folder)


def test_nothing_of_the_templates_name_is_left(printed: list[str], folder: Path) -> None:
    assert printed
    texts = [path for path in folder.rglob("*") if path.suffix in (".py", ".toml", ".md")]

    assert texts
    assert [path for path in texts if "null" in f"{path.name}{path.read_text()}".lower()] == []
