"""Product categories: create, rename, merge, take out of use; with how many products each one holds."""

from dataclasses import dataclass

from sqlalchemy import func, update
from sqlalchemy import select as core_select
from sqlmodel import Session, col, select

from crm_core import db, events
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import ProductCategory
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.vocabulary import Action

MAX_LENGTH = 300


@dataclass(frozen=True)
class CategoryView:
    """A category with the number of products that the reader may see: all of them, and those that are offered."""

    id: int
    version: int
    name: str
    is_active: bool
    products: int
    offered: int


def find(session: Session, actor: Actor) -> list[CategoryView]:
    """All categories by name, those in use first."""
    require(actor, "product", Action.READ)
    table = entity("product").table
    offered = func.sum(func.coalesce(func.cast(table.c.is_active, table.c.id.type), 0))
    query = core_select(table.c.category_id, func.count(), offered).where(visible(actor, "product", table))
    counted = {row[0]: (row[1], int(row[2] or 0)) for row in session.execute(query.group_by(table.c.category_id))}
    rows = session.exec(select(ProductCategory).order_by(col(ProductCategory.is_active).desc(), alphabetical(ProductCategory.name)))
    return [CategoryView(row.id, row.version, row.name, row.is_active, *counted.get(row.id, (0, 0))) for row in rows]


def without(session: Session, actor: Actor) -> int:
    """Number of products in no category."""
    require(actor, "product", Action.READ)
    table = entity("product").table
    query = core_select(func.count()).select_from(table).where(visible(actor, "product", table), table.c.category_id.is_(None))
    return session.execute(query).scalar_one()


def create(session: Session, actor: Actor, name: str) -> ProductCategory:
    """Add a category; one of the same name that was taken out of use comes back instead."""
    require(actor, "product", Action.CREATE)
    text = _checked(name)
    same = _named(session, text)
    if same is not None and same.is_active:
        raise Invalid(fields={"name": f"There is already a category “{same.name}”."})
    row = same or ProductCategory(name=text)
    row.is_active = True
    session.add(row)
    session.flush()
    events.record(session, actor, "product_category.created" if same is None else "product_category.restored", row)
    return row


def rename(session: Session, actor: Actor, category_id: int, name: str, *, base_version: int | None = None) -> ProductCategory:
    """Give a category another name; its products follow by themselves. Raises Invalid when another one has that name: merge them instead."""
    row = _row(session, actor, category_id, base_version)
    text = _checked(name)
    same = _named(session, text)
    if same is not None and same.id != row.id:
        raise Invalid(fields={"name": f"There is already a category “{same.name}”. Merge the two instead."})
    if text == row.name:
        return row
    old, row.name = row.name, text
    session.add(row)
    session.flush()
    events.record(session, actor, "product_category.updated", row, changes={"name": (old, text)})
    return row


def merge(session: Session, actor: Actor, category_id: int, into_id: int, *, base_version: int | None = None) -> int:
    """Move all products of one category into another and remove the empty one. Returns how many moved, the ones in the bin included."""
    if category_id == into_id:
        raise Invalid(fields={"into": "Choose another category to merge it into."})
    row, into = _row(session, actor, category_id, base_version), _row(session, actor, into_id, None)
    table = entity("product").table
    moved = update(table).where(table.c.category_id == row.id)
    count = (
        session.connection().execute(moved.values(category_id=into.id, version=table.c.version + 1, updated_at=utcnow())).rowcount
    )
    db.bump(session, "product")
    events.record(session, actor, "product_category.merged", row, data={"name": row.name, "to": into.name, "records": count})
    session.flush()
    session.delete(row)
    return count


def archive(session: Session, actor: Actor, category_id: int, *, base_version: int | None = None) -> ProductCategory:
    """Offer a category no longer; products that are in it stay in it."""
    return _use(session, actor, category_id, base_version, active=False)


def restore(session: Session, actor: Actor, category_id: int, *, base_version: int | None = None) -> ProductCategory:
    """Offer a category again."""
    return _use(session, actor, category_id, base_version, active=True)


def _use(session: Session, actor: Actor, category_id: int, base_version: int | None, *, active: bool) -> ProductCategory:
    row = _row(session, actor, category_id, base_version)
    if row.is_active != active:
        row.is_active = active
        session.add(row)
        session.flush()
        events.record(session, actor, "product_category.restored" if active else "product_category.archived", row)
    return row


def _row(session: Session, actor: Actor, category_id: int, base_version: int | None) -> ProductCategory:
    require(actor, "product", Action.EDIT)
    row = session.get(ProductCategory, category_id)
    if row is None:
        raise NotFound("This category does not exist any more.")
    refuse_stale("this category", row, base_version)
    return row


def _named(session: Session, name: str) -> ProductCategory | None:
    rows = session.exec(select(ProductCategory).where(func.lower(ProductCategory.name) == name.lower()))
    return rows.first()


def _checked(name: str) -> str:
    text = clean(" ".join((name or "").split()))
    if not text:
        raise Invalid(fields={"name": "The category needs a name."})
    if len(text) > MAX_LENGTH:
        raise Invalid(fields={"name": f"A name has at most {MAX_LENGTH} characters."})
    return text
