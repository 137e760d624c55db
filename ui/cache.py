"""Figures that many reruns and many people share: kept under what the asker may see and the versions of the tables behind them."""

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session, versions
from crm_core.kit import clock
from ui.actions import load
from ui.session import current_actor

T = TypeVar("T")


def cached(query: Callable[..., T], *args: Any, entities: tuple[str, ...], tables: tuple[str, ...], **kwargs: Any) -> T:
    """``load(query, *args)``, remembered.

    ``entities``: whose visibility the figure depends on; ``tables``: whose change makes it stale (names of tables). Arguments must be small
    and hashable: never a frame. The calendar day is part of the key, since "this month" moves.
    """
    actor = current_actor()
    # "@me" in a filter means somebody else for each asker, however much they see.
    asker = (actor.user_id, actor.team_id) if "@m" in repr((args, kwargs)) else ()
    key = (
        query.__module__,
        query.__qualname__,
        args,
        tuple(sorted(kwargs.items())),
        actor.fingerprint(*entities),
        asker,
        load(_versions, (*tables, "app_user", "user_closure")),
    )
    return load(_kept, (*key, clock.today(actor.timezone).isoformat()), query, args, kwargs)


def _kept(_session: Any, _actor: Actor, key: tuple[Any, ...], query: Callable[..., T], args: Any, kwargs: Any) -> T:
    return _remember(key, query, args, kwargs)  # through ``load``, which turns errors into words


def _versions(session: Any, _actor: Actor, tables: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    return versions(session, tables)


@st.cache_data(max_entries=512, ttl="10m", show_spinner=False)
def _remember(key: tuple[Any, ...], _query: Callable[..., Any], _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    with read_session() as session:
        return _query(session, current_actor(), *_args, **_kwargs)
