from __future__ import annotations

import copy
import pickle

import pytest

from hwrt import errors
from hwrt.errors import (
    BackendError,
    BackendFailure,
    BackendUnavailable,
    HwrtError,
    InputError,
    ModelError,
    NoBackend,
    SessionError,
    UnsupportedModel,
)


def test_tree_in_the_docstring_is_the_tree() -> None:
    classes = [getattr(errors, name) for name in errors.__all__]

    assert sorted(cls.__name__ for cls in _below(HwrtError)) == sorted(errors.__all__)
    for cls in classes:
        assert f" {cls.__name__} " in (errors.__doc__ or "")


def _below(cls: type[HwrtError]) -> set[type[HwrtError]]:
    # Of hwrt.errors alone: tests of other modules may derive their own.
    below = [sub for sub in cls.__subclasses__() if sub.__module__ == errors.__name__]
    return {cls}.union(*map(_below, below))


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (ModelError, HwrtError),
        (InputError, HwrtError),
        (InputError, ValueError),
        (SessionError, HwrtError),
        (BackendError, HwrtError),
        (BackendUnavailable, BackendError),
        (UnsupportedModel, BackendError),
        (BackendFailure, BackendError),
        (NoBackend, BackendError),
    ],
)
def test_each_is_caught_as_its_base(cls: type[HwrtError], base: type[Exception]) -> None:
    with pytest.raises(base, match="what failed"):
        raise cls("what failed")


def test_text_is_the_message_alone_without_a_hint() -> None:
    assert str(ModelError("no such file")) == "no such file"


def test_text_ends_with_the_hint() -> None:
    error = BackendUnavailable("acme is not installed", hint="pip install acme")

    assert str(error) == "acme is not installed (pip install acme)"
    assert (error.message, error.hint) == ("acme is not installed", "pip install acme")


def test_no_backend_shows_every_reason_on_its_own_line() -> None:
    error = NoBackend("none works", reasons={"a": "no driver", "b": "no device"}, hint="run doctor")

    assert str(error) == "none works (run doctor)\n  a: no driver\n  b: no device"


def test_no_backend_without_reasons_has_none() -> None:
    assert NoBackend("none works").reasons == {}


def test_reasons_are_a_copy() -> None:
    reasons = {"a": "no driver"}
    error = NoBackend("none works", reasons=reasons)
    reasons.clear()

    assert error.reasons == {"a": "no driver"}


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
@pytest.mark.parametrize(
    "error",
    [
        ModelError("no such file"),
        InputError("wrong", hint="do this"),
        NoBackend("none works", reasons={"a": "no driver"}, hint="run doctor"),
    ],
    ids=repr,
)
def test_copies_and_pickles_are_whole(error: HwrtError, again: object) -> None:
    other = again(error)  # type: ignore[operator]

    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)
    assert other.args == error.args
