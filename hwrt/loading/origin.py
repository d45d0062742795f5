"""From a model and a plan to a compiled model, and back to what a session was loaded from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwrt import cache, registry
from hwrt.backend import Array, CompiledModel
from hwrt.errors import (
    BackendError,
    BackendFailure,
    HwrtError,
    InputError,
    ModelError,
    SessionError,
)
from hwrt.files import distrust
from hwrt.loading.arguments import Arguments, given_feeds, known_by_name
from hwrt.loading.choosing import Asked, cached_plan, measured_plan, plan_of_other_versions
from hwrt.loading.judged import compile_judged, is_judged
from hwrt.log import LOGGER, configure
from hwrt.measure.measurement import Candidate, precision_told
from hwrt.owners import OwnedFolder
from hwrt.progress import progress_bar
from hwrt.session import Loaded
from hwrt.source import ModelSource, Source, open_model
from hwrt.spec import ModelInfo, Progress
from hwrt.tuning import proof
from hwrt.tuning.fallback import next_plan
from hwrt.tuning.folders import compiled_dir
from hwrt.tuning.given import check_made_here, check_wish, checked_plan, device_of, plan_of_options
from hwrt.tuning.plan import Plan
from hwrt.tuning.wish import Wish

__all__ = ["Origin", "load_model"]

GivenPlan = Plan | str | os.PathLike[str]


@dataclass(frozen=True)
class Origin:
    """The model and the arguments of a load: what loads it, or another one, in the same way.

    Pickled it carries the model's name; the model's bytes where no cache keeps them; and the
    samples, where feeds were given and not a folder.  ``progress`` stays behind.
    """

    source: ModelSource
    arguments: Arguments
    temporary: OwnedFolder | None = None

    def load(self, model_or_plan: ModelSource | Plan) -> Loaded:
        """Another model as the arguments ask, or the same one by another plan or its file."""
        if isinstance(model_or_plan, Plan) or _is_plan_file(model_or_plan):
            assert not isinstance(model_or_plan, bytes)
            return load_model(self._open(), self.arguments, model_or_plan)
        return load_model(open_model(model_or_plan, self.arguments.cache), self.arguments)

    def restore(self, plan: Plan) -> Loaded:
        """The model by the plan of the session that was pickled.

        Raises InputError, saying what differs, where the plan does not fit the model, this machine
        or the versions here.
        """
        configure()
        opened = self._open()
        # The plan met the arguments where it was made; how many threads are allowed may differ.
        wish = replace(self.arguments, threads=plan.key.threads).wish(opened.info)
        check_made_here(opened.info, wish, plan)
        _prove(opened, plan, wish, self.arguments.progress)
        compiled = _compile(opened, plan, self.arguments.progress)
        return _loaded(opened, self.arguments, plan, compiled, f"plan of {plan.made_at}, pickled")

    def next_plan(self, plan: Plan, fault: BackendError) -> Plan | str:
        """The plan of the next right candidate that the arguments allow, or why there is none."""
        if not self.arguments.fallback:
            return "fallback=False was given"
        if self.arguments.options is not None and not plan.measurements:
            return "options= were given, so nothing else was measured"
        wish = self._wish_of(plan, self._open())
        return next_plan(
            plan,
            str(fault),
            check=lambda following: check_wish(following, wish),
            is_exclusive=_is_exclusive(plan),
        )

    def fall_back(self, plan: Plan) -> Loaded:
        """The model by a plan from ``next_plan``, tried in a child process unless that was done."""
        opened = self._open()
        if opened.info.sha256 != plan.key.model:
            raise ModelError(
                f"{opened.title} has changed since it was loaded", hint="load it again"
            )
        # Who runs a model has not asked for a progress bar.
        _prove(opened, plan, self._wish_of(plan, opened), lambda *_: True)
        folder = _folder(opened, plan)
        compiled = compile_judged(plan, folder, lambda chosen: _compile(opened, chosen, None))
        if compiled is None:
            raise BackendFailure(
                f"{plan.candidate} does not compile to what was judged", hint="load the model again"
            )
        return _loaded(opened, self.arguments, plan, compiled, f"in place of {plan.fallback_of}")

    def sample(self, info: ModelInfo) -> Mapping[str, Array] | None:
        """The first of the samples, checked for this model; None where the load was given none."""
        feeds = given_feeds(self.arguments.samples, info)
        return feeds[0] if feeds else None

    def _wish_of(self, plan: Plan, opened: Source) -> Wish:
        """What the arguments ask; how many threads are allowed may differ by now."""
        threads = self.arguments.threads or plan.key.threads
        return replace(self.arguments, threads=threads).wish(opened.info)

    def _open(self) -> Source:
        opened = open_model(self.source, self.arguments.cache)
        # The folder of a model that was given as bytes is that of whoever holds this.
        return replace(opened, temporary=opened.temporary or self.temporary)

    def __getstate__(self) -> dict[str, Any]:
        source = self.source
        if self.temporary is not None and isinstance(source, str) and not _is_zoo(source):
            source = Path(source).read_bytes()
        arguments = replace(self.arguments, progress=None)
        return {"source": source, "arguments": arguments, "temporary": None}


def load_model(opened: Source, arguments: Arguments, plan: GivenPlan | None = None) -> Loaded:
    """The model compiled by the plan, or by one that is found as the arguments ask."""
    info = opened.info
    wish = arguments.wish(info)
    if plan is not None:
        never = arguments.tune == "never"
        chosen = checked_plan(info, wish, plan, other_versions=never)
        return _compiled_by(opened, arguments, wish, chosen, f"plan of {chosen.made_at}")
    if arguments.options is not None:
        chosen = plan_of_options(info, wish, arguments.options)
        return _compiled_by(opened, arguments, wish, chosen, "options given")
    if not known_by_name(arguments.samples):
        # An iterator gives them once; a folder is read when there is something to measure.
        arguments = replace(arguments, samples=given_feeds(arguments.samples, info))
    asked = Asked.of(opened, wish, arguments.samples_key())
    cached = cached_plan(asked)
    if arguments.tune == "never":
        stored = cached or plan_of_other_versions(asked)
        return _without_tuning(asked, arguments, stored, is_cached=cached is not None)
    reason = None
    if cached is not None:
        how = f"cached plan of {cached.made_at}"
        try:
            compiled = compile_judged(cached, _folder(opened, cached), _compiler(opened, arguments))
        except BackendError as exc:
            reason = f"the {how} no longer works: {exc}"
        else:
            if compiled is not None:
                return _loaded(opened, arguments, cached, compiled, how)
            reason = f"what the {how} compiles to is not what was judged"
        LOGGER.warning("%s; it is measured anew", reason)
    chosen = measured_plan(
        asked,
        arguments.feeds(info),
        budget_s=arguments.budget_s,
        progress=arguments.progress,
        instead_of=cached,
        reason=reason,
    )
    compiled = _compile(opened, chosen, arguments.progress)
    return _loaded(opened, arguments, chosen, compiled, "measured")


def _without_tuning(
    asked: Asked,
    arguments: Arguments,
    plan: Plan,
    *,
    is_cached: bool,
    tried: frozenset[Candidate] = frozenset(),
) -> Loaded:
    """The model by the plan, or by the first right candidate of it that works here."""
    try:
        return _by_plan(asked, arguments, plan, is_cached=is_cached)
    except BackendError as exc:
        if not arguments.fallback:
            raise
        tried = tried | {plan.candidate}

        def check(following: Plan) -> None:
            if following.candidate in tried:
                raise InputError("it does not work either")
            check_wish(following, asked.wish)

        following = next_plan(plan, str(exc), check=check)
        if isinstance(following, str):
            raise
        told = (plan.candidate, following.candidate, exc)
        LOGGER.warning("%s does not work, %s takes its place: %s", *told)
    return _without_tuning(asked, arguments, following, is_cached=False, tried=tried)


def _by_plan(asked: Asked, arguments: Arguments, plan: Plan, *, is_cached: bool) -> Loaded:
    opened = asked.opened
    if not is_cached:
        how = f"plan of {plan.made_at}, not measured with these versions"
        return _compiled_by(opened, arguments, asked.wish, plan, how)
    compile_it = _compiler(opened, arguments)
    compiled = compile_judged(plan, _folder(opened, plan), compile_it) or compile_it(plan)
    return _loaded(opened, arguments, plan, compiled, f"cached plan of {plan.made_at}")


def _compiled_by(opened: Source, arguments: Arguments, wish: Wish, plan: Plan, how: str) -> Loaded:
    """What a plan that was not made here comes to: it is tried in a child process first."""
    _prove(opened, plan, wish, arguments.progress)
    return _loaded(opened, arguments, plan, _compiler(opened, arguments)(plan), how)


def _compiler(opened: Source, arguments: Arguments) -> Callable[[Plan], CompiledModel]:
    def compile_it(plan: Plan) -> CompiledModel:
        folder = _folder(opened, plan)
        if arguments.verify and folder is not None:
            distrust(folder)
        return _compile(opened, plan, arguments.progress)

    return compile_it


def _prove(opened: Source, plan: Plan, wish: Wish, progress: Progress | None) -> None:
    if proof.is_proved(plan, opened.cache_root):
        return
    with progress_bar(progress) as shown:
        if shown is not None and not shown(0.0, f"trying {plan.candidate}"):
            raise SessionError("the load was cancelled by progress")
        proof.prove(
            opened.info,
            plan,
            threads=wish.threads,
            cache_dir=_folder(opened, plan),
            cache_root=opened.cache_root,
        )


def _compile(opened: Source, plan: Plan, progress: Progress | None) -> CompiledModel:
    folder = _folder(opened, plan)
    compiled = registry.backend(plan.backend).compile(
        opened.info,
        device_of(plan.backend, plan.device),
        options=plan.options,
        shapes=plan.shapes,
        cache_dir=folder,
        progress=progress,
    )
    if folder is not None:
        cache.touch(folder)
    return compiled


def _folder(opened: Source, plan: Plan) -> Path | None:
    """Where the compiled model is kept."""
    device = device_of(plan.backend, plan.device)
    stamp = registry.backend(plan.backend).stamp()
    return compiled_dir(
        opened.cache_root,
        opened.info,
        Candidate(plan.backend, device.id, plan.options),
        device=device,
        stamp=stamp,
        shapes=plan.shapes,
        machine=plan.key.machine,
    )


def _loaded(
    opened: Source, arguments: Arguments, plan: Plan, compiled: CompiledModel, how: str
) -> Loaded:
    LOGGER.info(
        "%s: %s, precision %s, %s%s",
        opened.title,
        plan.candidate,
        compiled.precision,
        how,
        f"; unverified: {plan.unverified}" if plan.unverified else "",
    )
    precision = precision_told(compiled.precision, quantized=opened.info.quantized)
    built = replace(plan, precision=precision, placement=compiled.placement)
    if plan.unverified is None and not is_judged(plan, compiled):
        built = replace(built, unverified="it was compiled to another file than the one judged")
        LOGGER.warning("%s: %s: %s", opened.title, plan.candidate, built.unverified)
    return Loaded(compiled, built, opened.info, Origin(opened.name, arguments, opened.temporary))


def _is_exclusive(plan: Plan) -> bool:
    """True where no other process or engine can have the plan's device as well."""
    try:
        return device_of(plan.backend, plan.device).exclusive
    except HwrtError:  # it is gone
        return False


def _is_zoo(source: ModelSource) -> bool:
    return isinstance(source, str) and source.startswith("zoo:")


def _is_plan_file(source: ModelSource) -> bool:
    """True for a file that begins as JSON does and no model."""
    if not isinstance(source, str | os.PathLike) or _is_zoo(source):
        return False  # what it is instead, open_model says
    path = Path(source)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(64).lstrip().startswith(b"{")
    except OSError:  # open_model says what is wrong with it
        return False
