"""Every entity by its key: table, words for people, title field, default list. The single list that screens, search and import walk."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from crm_core import models as m
from crm_core.errors import NotFound


@dataclass(frozen=True)
class Entity:
    """One kind of record. ``title`` is the field that names a row; ``search`` the fields that quick search reads; ``page`` its screen's address;
    ``also`` fields that rows of a list carry along unseen; ``path`` its address for programs, where its
    plural is none."""

    key: str
    model: type[Any]
    label: str
    plural: str
    icon: str
    title: str = "name"
    columns: tuple[str, ...] = ()
    sort: tuple[str, bool] = ("created_at", True)
    search: tuple[str, ...] = ()
    totals: tuple[str, ...] = ()
    page: str = ""
    also: tuple[str, ...] = ()
    lookup: bool = False
    path: str = ""

    @property
    def address(self) -> str:
        """``deals``: what programs call many of them."""
        return self.path or self.plural.lower()

    @property
    def table(self) -> Any:
        return self.model.__table__


_ALL = (
    Entity(
        "account", m.Account, "Account", "Accounts", "apartment",
        columns=("name", "kind", "industry", "city", "owner_id", "employees", "revenue_minor"),
        sort=("name", False), search=("name", "domain", "city", "email", "phone"), page="account",
    ),
    Entity(
        "contact", m.Contact, "Contact", "Contacts", "person",
        columns=("name", "job_title", "account_id", "email", "phone", "owner_id"),
        sort=("name", False), search=("name", "email", "phone", "job_title"), page="contact",
    ),
    Entity(
        "lead", m.Lead, "Lead", "Leads", "person_search",
        columns=("name", "company", "status_id", "source", "email", "owner_id", "created_at"),
        sort=("created_at", True), search=("name", "company", "email", "phone"), totals=("estimated_minor",), page="lead",
    ),
    Entity(
        "deal", m.Deal, "Deal", "Deals", "handshake",
        columns=("name", "account_id", "owner_id", "stage_id", "amount_minor", "probability_pct", "expected_close_on"),
        sort=("expected_close_on", False), search=("name", "next_step"), totals=("amount_minor",), also=("outcome", "closed_on"), page="deal",
    ),
    Entity(
        "product", m.Product, "Product", "Products", "inventory_2",
        columns=("name", "sku", "category_id", "price_minor", "is_active"), sort=("name", False), search=("name", "sku"), page="product",
    ),
    Entity(
        "order", m.Order, "Order", "Orders", "receipt_long", title="number",
        columns=("number", "account_id", "contact_id", "status", "ordered_at", "total_minor", "owner_id"),
        sort=("ordered_at", True), search=("number",), totals=("total_minor",), page="order",
    ),
    Entity(
        "ticket", m.Ticket, "Ticket", "Tickets", "confirmation_number", title="subject",
        columns=("subject", "number", "status", "priority", "account_id", "owner_id", "sla_due_at", "opened_at"),
        sort=("opened_at", True), search=("number", "subject", "serial_number"), page="ticket",
    ),
    Entity(
        "article", m.Article, "Help article", "Help articles", "menu_book", title="title",
        columns=("title", "state", "category", "owner_id", "review_by", "updated_at"),
        sort=("title", False), search=("title", "summary", "body"), page="article",
        also=("state",), path="articles",
    ),
    Entity(
        "campaign", m.Campaign, "Campaign", "Campaigns", "campaign",
        columns=("name", "status", "starts_on", "ends_on", "budget_minor", "owner_id"), sort=("name", False), search=("name", "goal"), page="campaign",
    ),
    Entity(
        "segment", m.Segment, "Segment", "Segments", "groups_3",
        columns=("name", "entity", "kind", "visibility", "owner_id", "counted_at"), sort=("name", False), search=("name",), page="segment",
        also=("entity", "kind"),
    ),
    Entity(
        "promotion", m.Promotion, "Promotion", "Promotions", "local_activity",
        columns=("name", "state", "code", "ends_on", "redeemed_count", "spent_minor", "budget_minor", "owner_id"),
        sort=("created_at", True), search=("name", "code"), page="promotion",
        also=("state",),
    ),
    Entity(
        "activity", m.Activity, "Activity", "Activities", "history", title="subject",
        columns=("kind", "subject", "at", "account_id", "deal_id", "owner_id"), sort=("at", True), search=("subject",),
    ),
    Entity(
        "task", m.Task, "Task", "Tasks", "task_alt", title="subject",
        columns=("subject", "status", "priority", "due_at", "account_id", "deal_id", "owner_id"), sort=("due_at", False), search=("subject",), also=("status",), page="task",
    ),
    Entity("user", m.User, "Person", "People", "group", columns=("name", "email", "team_id", "is_active"), sort=("name", False), lookup=True),
    Entity("team", m.Team, "Team", "Teams", "groups", columns=("name", "office"), sort=("name", False), lookup=True),
    Entity("pipeline", m.Pipeline, "Pipeline", "Pipelines", "conversion_path", sort=("position", False), lookup=True),
    Entity("stage", m.Stage, "Stage", "Stages", "flag", sort=("position", False), lookup=True),
    Entity("lead_status", m.LeadStatus, "Lead status", "Lead statuses", "flag", title="label", sort=("position", False), lookup=True),
    Entity("product_category", m.ProductCategory, "Product category", "Product categories", "category", sort=("name", False), lookup=True),
)  # fmt: skip

ENTITIES: dict[str, Entity] = {entity.key: entity for entity in _ALL}
PARTS: dict[str, Entity] = {
    "order_line": Entity("order_line", m.OrderLine, "Purchase", "Purchases", "shopping_cart"),
    "consent": Entity("consent", m.Consent, "Word of consent", "Words of consent", "how_to_reg"),
}
"""Rows that belong to a record and have no screen and no permission of their own: filters count them, lists never show them."""
RECORDS: tuple[str, ...] = tuple(entity.key for entity in _ALL if not entity.lookup)
_AREA_LABELS = {
    "analytics": "Analytics",
    "quota": "Sales quotas",
    "organisation": "Workspace settings",
    "job": "Jobs",
    "audit": "Audit trail",
    "custom_field": "Custom fields",
    "view": "Shared views",
    "service_level": "Service levels",
    "lead_form": "Lead forms",
    "mailbox": "Mailboxes and mail tray",
    "integration": "API and webhooks",
    "assignment": "Assignment rules",
    "survey": "Surveys",
    "telephony": "Telephone menus and calls",
    "automation": "Automations",
    "booking": "Booking pages",
    "help_centre": "Public help centre",
    "letter_template": "Letter templates",
    "privacy": "Privacy requests",
    "dial_list": "Call list",
    "import_run": "Import",
    "mail": "E-mail",
}

_ONE_OF_AREA = {
    "custom_field": "Custom field",
    "lead_form": "Lead form",
    "letter_template": "Letter template",
    "service_level": "Service level",
    "survey": "Survey",
    "automation": "Automation",
    "booking": "Booking page",
}
"""What a single thing is called in an area whose name is a plural."""


def entity(key: str) -> Entity:
    """The entity, or NotFound for a key that somebody typed."""
    found = ENTITIES.get(key) or PARTS.get(key)
    if found is None:
        raise NotFound("There is no such kind of record.")
    return found


def label_of(key: str, *, plural: bool = False) -> str:
    """The word for people of an entity or an area."""
    if key in ENTITIES:
        return ENTITIES[key].plural if plural else ENTITIES[key].label
    return _AREA_LABELS.get(key, key.replace("_", " ").capitalize())


def one_of(key: str) -> str:
    """The word for people of a single record of an entity, or of a single thing in an area."""
    return _ONE_OF_AREA.get(key) or label_of(key)


@lru_cache(maxsize=1)
def _by_table() -> dict[str, Entity]:
    return {found.table.name: found for found in _ALL}


def entity_of(record: Any) -> Entity:
    """The entity of a loaded row."""
    return _by_table()[record.__table__.name]


@dataclass(frozen=True)
class Relation:
    """Children that point at a parent: ``account`` has ``deals`` through ``deal.account_id``. ``through``: the child in between, for parts
    of children (``purchases`` are the lines of the account's orders). ``part``: rows of the record alone, seen by whoever sees the record."""

    name: str
    child: str
    foreign_key: str
    through: "Relation | None" = None
    part: bool = False


@lru_cache(maxsize=64)
def relations(key: str) -> dict[str, Relation]:
    """All child relations of an entity, found from the references of the tables."""
    found: dict[str, Relation] = {}
    for child in _ALL:
        if child.lookup:
            continue
        for column in child.table.c:
            if column.info.get("to") == key and not column.key.startswith("converted_"):
                name = child.plural.lower()
                found[name] = Relation(name, child.key, column.key)
    if "orders" in found and key in ("account", "contact"):
        found["purchases"] = Relation("purchases", "order_line", "order_id", found["orders"])
    if key in ("contact", "lead"):
        found["consents"] = Relation("consents", "consent", f"{key}_id", part=True)
    return found
