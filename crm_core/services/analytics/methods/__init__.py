"""The methods of analysis, found by looking: one module per kind, each with its ``METHOD``."""

import importlib
import pkgutil
from functools import lru_cache

from crm_core.errors import NotFound
from crm_core.services.analytics.methods.base import Mark, Method, Outcome, Param, Report

__all__ = ["Mark", "Method", "Outcome", "Param", "Report", "kinds", "method"]


@lru_cache(maxsize=1)
def _modules() -> frozenset[str]:
    return frozenset(found.name for found in pkgutil.iter_modules(__path__))


@lru_cache(maxsize=64)
def method(kind: str) -> Method:
    """The method of a kind. Imports this one module only; NotFound for anything that somebody typed."""
    module = importlib.import_module(f"{__name__}.{kind}") if kind in _modules() else None
    found = getattr(module, "METHOD", None)
    if not isinstance(found, Method) or found.kind != kind:
        raise NotFound("There is no such analysis.")
    return found


def kinds() -> dict[str, Method]:
    """All methods by kind (imports every module)."""
    found = {}
    for name in sorted(_modules()):
        declared = getattr(importlib.import_module(f"{__name__}.{name}"), "METHOD", None)
        if isinstance(declared, Method):
            found[declared.kind] = declared
    return found
