from __future__ import annotations

from typing import Any

import pytest

from hwrt.spec import Options
from hwrt.tuning.search import Search, _add
from hwrt.tuning.wish import Wish

CPU = {"kind": "cpu", "index": 0, "name": "", "identity": "", "memory_bytes": None}
REDUCED = {"precision": "bf16"}
STATED = {"precision": "f32"}
PLAIN = {"kernels": "plain"}


@pytest.mark.parametrize(
    ("named", "every", "tried"),
    [
        ([STATED, REDUCED, PLAIN], False, [STATED, PLAIN]),
        ([REDUCED, STATED], False, [STATED]),
        ([REDUCED, {"precision": "f16"}], False, []),
        ([STATED, REDUCED], True, [STATED, REDUCED]),
        ([], False, []),
    ],
    ids=["stated ones", "not the first", "a device without f32", "every one", "none"],
)
def test_a_load_tries_what_computes_the_model_as_its_file_states_it(
    named: list[dict[str, Any]], every: bool, tried: list[dict[str, Any]]
) -> None:
    result = Search()
    described = {"device": CPU, "candidates": named, "reference": None}

    _add("some", "1.0", described, Wish(threads=1, every_candidate=every), True, result)

    assert [Options(options) for options in tried] == [
        found.candidate.options for found in result.candidates
    ]
