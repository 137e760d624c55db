"""What a column can be imported into: the fields of the registry that may be set, and what the importer of the kind adds."""

from collections.abc import Mapping
from dataclasses import replace

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.fields import FieldSpec, registry
from crm_core.services.admin.imports.kinds import Kind
from crm_core.vocabulary import FieldKind

FOUND_BY: dict[str, tuple[str, ...]] = {
    "account": ("name",),
    "contact": ("name", "email"),
    "user": ("name", "email"),
    "product": ("name", "sku"),
    "order": ("number",),
    "lead_status": ("label",),
}
"""Fields by which a linked record of an entity is found when the plan names no other; ``name`` for the rest."""

CREATABLE = ("account", "contact", "product", "product_category", "team", "campaign", "stage", "user")
"""Linked records that an import can create from a name alone."""


def targets(session: Session, actor: Actor, kind: Kind) -> dict[str, FieldSpec]:
    """Field key → spec of everything that the actor can import into, in the order in which a menu shows it."""
    found: dict[str, FieldSpec] = {}
    for key, spec in registry(session, kind.entity).items():
        if (spec.editable or key in kind.opened) and key not in kind.closed and not actor.locked(kind.entity, key):
            found[key] = spec
    for spec in kind.extra:
        if not actor.locked(kind.entity, _PARTS.get(spec.key, spec.key)):
            found[spec.key] = replace(spec, entity=kind.entity)
    return found


_LINE = ("product_id", "quantity", "price_minor", "discount_pct", "tax_rate_pct", "billing", "periods")
_PARTS = {
    "first_name": "name", "last_name": "name", "email_2": "email", "phone_2": "phone", "emails_more": "email", "phones_more": "phone",
    **{f"line_{part}": "total_minor" for part in _LINE},
}  # fmt: skip
"""What an importer adds and the field that it is a part of: whoever may not write the one may not write the other."""


def locked(session: Session, actor: Actor, kind: Kind) -> dict[str, str]:
    """Field key → label of what could be imported if the actor's role might change it."""
    fields = registry(session, kind.entity).items()
    return {key: spec.label for key, spec in fields if spec.editable and key not in kind.closed and actor.locked(kind.entity, key)}


def searchable(session: Session, entity_key: str) -> dict[str, str]:
    """Field key → label of the fields by which a linked record of an entity can be found."""
    kinds = (FieldKind.TEXT, FieldKind.EMAIL, FieldKind.INTEGER, FieldKind.PHONE)
    return {key: spec.label for key, spec in registry(session, entity_key).items() if spec.kind in kinds}


def self_references(specs: Mapping[str, FieldSpec], entity_key: str) -> tuple[str, ...]:
    """Fields that link to a record of the same kind, which may stand further down in the same file."""
    return tuple(key for key, spec in specs.items() if spec.to == entity_key)


__all__ = ["CREATABLE", "FOUND_BY", "locked", "searchable", "self_references", "targets"]
