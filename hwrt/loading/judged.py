"""What was judged is what is served: the compiled file is held against the plan's digest of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from hwrt.backend import CompiledModel
from hwrt.files import artefact_digest
from hwrt.log import LOGGER
from hwrt.tuning.plan import Plan

__all__ = ["compile_judged", "is_judged"]


def compile_judged(
    plan: Plan, folder: Path | None, compile_it: Callable[[Plan], CompiledModel]
) -> CompiledModel | None:
    """The model compiled to the file that was judged; None where it comes to another one.

    A file in the cache that is not that one is warned of, removed and compiled anew.  Where the
    backend keeps no file there is nothing to hold against the plan: compiling is a function of the
    key.
    """
    was_there = folder is not None and folder.is_dir()
    compiled = compile_it(plan)
    if is_judged(plan, compiled):
        return compiled
    artefact = compiled.artefact
    compiled.close()
    if folder is None or not was_there:
        return None
    LOGGER.warning("%s is not what was judged, and is compiled anew", artefact)
    shutil.rmtree(folder, ignore_errors=True)  # what can not be removed stays another one
    compiled = compile_it(plan)
    if is_judged(plan, compiled):
        return compiled
    compiled.close()
    return None


def is_judged(plan: Plan, compiled: CompiledModel) -> bool:
    """False where both the plan and the backend tell of a file, and not of the same one."""
    if plan.artefact_sha256 is None or compiled.artefact is None:
        return True
    try:
        return artefact_digest(compiled.artefact) == plan.artefact_sha256
    except OSError:  # deleted by another process, while this one has it open
        return True
