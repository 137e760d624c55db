"""What a key of a program may reach: areas of the product, each for reading or for reading and writing."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import replace

from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.vocabulary import Action, Via

AREAS: dict[str, tuple[str, ...]] = {
    "customers": ("account", "contact"),
    "sales": ("lead", "deal", "product", "order"),
    "service": ("ticket", "article"),
    "marketing": ("campaign", "segment", "promotion"),
    "work": ("activity", "task"),
}
LABELS = {
    "customers": "Accounts and contacts",
    "sales": "Leads, deals, orders, products",
    "service": "Tickets and help articles",
    "marketing": "Campaigns, segments, promotions",
    "work": "Activities and tasks",
}
READ, WRITE = "read", "write"
SCOPES = tuple(f"{area}:{way}" for area in AREAS for way in (READ, WRITE))
_VERBS = {READ: (Action.READ,), WRITE: (Action.READ, Action.CREATE, Action.EDIT, Action.DELETE)}
START = "rap_"
SHOWN = 12
"""So many characters of a key stay visible, to tell keys apart."""


def new_key() -> str:
    """A key: 256 random bits behind a beginning by which secret scanners know it."""
    return START + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """What is kept of a key. A plain hash is enough for 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def checked(scopes: Iterable[str]) -> list[str]:
    """The scopes in their order; Invalid for none or unknown ones."""
    given = set(scopes)
    if not given or given - set(SCOPES):
        raise Invalid(fields={"scopes": "Choose what the key may reach."})
    return [scope for scope in SCOPES if scope in given]


def in_words(scopes: Iterable[str]) -> str:
    """``Tickets (read), Campaigns and segments (read and write)``."""
    given = set(scopes)
    parts = []
    for area, label in LABELS.items():
        if f"{area}:{WRITE}" in given:
            parts.append(f"{label} (read and write)")
        elif f"{area}:{READ}" in given:
            parts.append(f"{label} (read)")
    return ", ".join(parts)


def narrowed(actor: Actor, scopes: Iterable[str]) -> Actor:
    """The person through the API: never more than they may, and of that only what the key reaches. Settings, people and analyses stay out."""
    allowed = {
        (entity, action)
        for area, entities in AREAS.items()
        for way, actions in _VERBS.items()
        if f"{area}:{way}" in set(scopes)
        for entity in entities
        for action in actions
    }
    grants = {permission: reach for permission, reach in actor.grants.items() if permission in allowed}
    return replace(actor, grants=grants, via=Via.API)
