"""The steps that automations take, found by looking: each module declares some with ``STEPS``."""

import importlib
import pkgutil
from functools import lru_cache

from crm_core.errors import Invalid
from crm_core.services.automation.steps.base import Branched, Context, Done, Exit, Param, Result, Skipped, StepKind, Waited

__all__ = ["Branched", "Context", "Done", "Exit", "Param", "Result", "Skipped", "StepKind", "Waited", "kind", "kinds"]


@lru_cache(maxsize=1)
def kinds() -> dict[str, StepKind]:
    """All kinds of steps by key, in the order of the menu."""
    found: list[StepKind] = []
    for module in pkgutil.iter_modules(__path__):
        if module.name != "base":
            found += getattr(importlib.import_module(f"{__name__}.{module.name}"), "STEPS", ())
    return {one.key: one for one in sorted(found, key=lambda one: one.order)}


def kind(key: str) -> StepKind:
    """The kind of a step. Raises Invalid for one that this version does not know."""
    found = kinds().get(key)
    if found is None:
        raise Invalid("This version does not know such a step.")
    return found
