from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hwrt.source import open_model


@pytest.mark.parametrize("damaged", [b"", b"\0", None], ids=["empty", "a bit", "the digest"])
def test_a_damaged_reference_model_is_built_anew(tmp_path: Path, damaged: bytes | None) -> None:
    whole = open_model("zoo:mobilenet_v3_small", tmp_path).info
    if damaged is None:
        whole.path.with_name(whole.path.name + ".sha256").write_bytes(b"0")
    else:
        content = whole.path.read_bytes()
        whole.path.write_bytes(damaged and content[:-9] + damaged + content[-8:])

    assert open_model("zoo:mobilenet_v3_small", tmp_path).info == whole


def test_a_temporary_folder_goes_with_the_last_who_holds_it() -> None:
    first = open_model("zoo:mobilenet_v3_small", False).temporary
    assert first is not None
    second, path = first, first.path
    del first
    kept = path.is_dir()
    del second

    assert (kept, path.exists()) == (True, False)


@pytest.mark.parametrize("source", ["bytes", "zoo:mobilenet_v3_small"])
def test_a_model_that_the_cache_can_not_take_is_kept_in_a_temporary_folder(
    tmp_path: Path,
    relu_model: Callable[..., Path],
    source: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for kind in ("models", "zoo"):
        (tmp_path / "cache" / kind).parent.mkdir(exist_ok=True)
        (tmp_path / "cache" / kind).touch()
    given = relu_model().read_bytes() if source == "bytes" else source
    opened = open_model(given, tmp_path / "cache")

    assert opened.temporary is not None
    assert opened.info.path.is_relative_to(opened.temporary.path)
    assert opened.cache_root == tmp_path / "cache"
    assert "the model is kept in a temporary folder: " in caplog.text
