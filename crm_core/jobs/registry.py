"""Which jobs there are: name, title for people, function, queue, and when a clock starts them."""

import importlib
import logging
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

log = logging.getLogger("rapport.jobs")

Body = Callable[..., Any]


@dataclass(frozen=True)
class JobSpec:
    """One kind of job. ``cron`` (five fields, workspace time) starts it by the clock, if ``when`` holds; finished runs stay ``keep_days``."""

    name: str
    function: Body
    title: str
    queue: str = "jobs"
    cron: str = ""
    when: Callable[[Session], bool] | None = None
    keep_days: int = 14


REGISTRY: dict[str, JobSpec] = {}


def job(
    name: str,
    *,
    title: str = "",
    queue: str = "jobs",
    cron: str = "",
    when: Callable[[Session], bool] | None = None,
    keep_days: int = 14,
) -> Callable[[Body], Body]:
    """Declare the function behind a job name. ``queue``: ``jobs`` (several at once) or ``heavy`` (one at a time, for models and backups)."""

    def declare(function: Body) -> Body:
        known = REGISTRY.get(name)
        if known is not None and (known.function.__module__, known.function.__qualname__) != (
            function.__module__,
            function.__qualname__,
        ):
            raise ValueError(f"two functions want to be the job {name}")
        REGISTRY[name] = JobSpec(name, function, title or name, queue, cron, when, keep_days)
        return function

    return declare


def spec(name: str) -> JobSpec | None:
    """The declaration of a job whose module is loaded."""
    return REGISTRY.get(name)


def load_all() -> dict[str, JobSpec]:
    """Import every module that may declare a job (the worker does; a page never needs to) and return the declarations.

    A module that can't be imported costs its own jobs, not those of the others.
    """
    import crm_core.services

    found = pkgutil.walk_packages(crm_core.services.__path__, "crm_core.services.", onerror=_broken)
    for name in ("crm_core.summaries", *(module.name for module in found)):
        try:
            importlib.import_module(name)
        except Exception:
            _broken(name)
    return dict(REGISTRY)


def _broken(name: str) -> None:
    log.exception("%s can't be loaded; its jobs are missing from this worker", name)
