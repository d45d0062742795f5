"""The plan that a load would find, for those who want to read it."""

from __future__ import annotations

from typing import Any

from hwrt.loading.arguments import Arguments
from hwrt.loading.choosing import Asked, cached_plan, nearest_plan
from hwrt.source import Cache, ModelSource, open_model
from hwrt.tuning.plan import Plan
from hwrt.tuning.wish import names_of

__all__ = ["stored_plan"]


def stored_plan(source: ModelSource, *, cache: Cache = True, **arguments: Any) -> Plan | str:
    """The cached plan by which ``load`` would run the model, or why there is none.

    The arguments are those of ``load``; nothing is run, measured or compiled.  Raises ModelError
    and InputError as ``load`` does.
    """
    opened = open_model(source, cache)
    given = Arguments(**{**arguments, "backend": names_of(arguments.get("backend"))})
    wish = given.wish(opened.info)
    asked = Asked.of(opened, wish, given.samples_key())
    plan = cached_plan(asked)
    if plan is not None:
        return plan
    if opened.cache_root is None:
        return "there is no cache"
    found = nearest_plan(asked)
    if found is None:
        return f"there is no plan for {opened.title} in {opened.cache_root}"
    nearest, differing = found
    told = "; ".join(map(str, differing))
    return f"there is no plan for this; the nearest one, of {nearest.made_at}, differs in {told}"
