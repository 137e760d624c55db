"""The built-in roles: which verbs on which entity, how far they reach, which fields stay masked. Rows once installed; an administrator edits them."""

from dataclasses import dataclass, field

from crm_core.vocabulary import Action, Scope

RECORDS = (
    "account",
    "contact",
    "lead",
    "deal",
    "product",
    "order",
    "ticket",
    "article",
    "campaign",
    "segment",
    "promotion",
    "activity",
    "task",
)
"""Entities with rows of their own that people work on."""

AREAS = (
    "analytics",
    "quota",
    "organisation",
    "user",
    "pipeline",
    "job",
    "audit",
    "custom_field",
    "view",
    "service_level",
    "lead_form",
    "mailbox",
    "integration",
    "assignment",
    "survey",
    "telephony",
    "automation",
    "booking",
    "help_centre",
    "letter_template",
    "privacy",
)
"""Parts of the product that are allowed as a whole."""

PERSONAL = {
    "contact": ("name", "email", "phone", "birthday"),
    "lead": ("name", "email", "phone"),
}
"""Personal fields that the analyst's role masks by default."""

Grant = tuple[str, Action, Scope]
R, C, E, D, X, I, M = (  # noqa: E741
    Action.READ,
    Action.CREATE,
    Action.EDIT,
    Action.DELETE,
    Action.EXPORT,
    Action.IMPORT,
    Action.MANAGE,
)
OWN, TEAM, SUB, ALL = Scope.OWN, Scope.TEAM, Scope.SUBTREE, Scope.ALL


@dataclass(frozen=True)
class RoleDefault:
    """A built-in role as it is installed."""

    key: str
    name: str
    description: str
    grants: tuple[Grant, ...]
    masks: tuple[tuple[str, str], ...] = field(default=())


def _on(entities: tuple[str, ...] | str, **scopes: Scope) -> tuple[Grant, ...]:
    names = (entities,) if isinstance(entities, str) else entities
    return tuple((entity, Action(action), scope) for entity in names for action, scope in scopes.items())


def _everything() -> tuple[Grant, ...]:
    verbs = {a.value: ALL for a in (R, C, E, D, X, I)}
    return _on(RECORDS, **verbs) + _on(AREAS, read=ALL, manage=ALL)


ROLES: tuple[RoleDefault, ...] = (
    RoleDefault("administrator", "Administrator", "Everything, including users and settings", _everything()),
    RoleDefault(
        "manager",
        "Manager",
        "Sees all customers, and the deals, leads and tickets of everyone below",
        _on(("account", "contact"), read=ALL, create=ALL, edit=ALL, delete=SUB, export=ALL)
        + _on(("lead", "deal", "ticket"), read=SUB, create=ALL, edit=SUB, delete=SUB, export=SUB)
        + _on("lead", **{"import": ALL})
        + _on("deal", **{"import": ALL})
        + _on(("account", "contact"), **{"import": ALL})
        + _on("order", read=ALL, create=ALL, edit=SUB, export=ALL)
        + _on("campaign", read=ALL)
        + _on("promotion", read=ALL, create=ALL, edit=ALL, delete=SUB, export=ALL)
        + _on("segment", read=ALL, create=ALL, edit=OWN, delete=OWN, export=OWN)
        + _on("product", read=ALL, create=ALL, edit=ALL)
        + _on(("activity", "task"), read=SUB, create=ALL, edit=SUB, delete=SUB)
        + _on("analytics", read=ALL, manage=ALL)
        + _on("quota", read=SUB, manage=SUB)
        + _on("service_level", read=ALL, manage=ALL)
        + _on("mailbox", read=ALL)
        + _on("assignment", read=ALL, manage=SUB)
        + _on(("survey", "telephony"), read=ALL, manage=ALL)
        + _on(("automation", "booking", "letter_template"), read=ALL, manage=ALL)
        + _on("article", read=ALL, create=ALL, edit=ALL, delete=ALL, export=ALL)
        + _on("article", **{"import": ALL})
        + _on("help_centre", read=ALL, manage=ALL)
        + _on("audit", read=SUB)
        + _on("view", manage=ALL)
        + _on("integration", read=ALL),
    ),
    RoleDefault(
        "sales_rep",
        "Sales rep",
        "Works own leads and deals; sees all customers",
        _on(("account", "contact"), read=ALL, create=ALL, edit=OWN, export=OWN)
        + _on(("lead", "deal"), read=OWN, create=ALL, edit=OWN, delete=OWN, export=OWN)
        + _on("order", read=OWN, create=ALL, edit=OWN)
        + _on("ticket", read=ALL, create=ALL)
        + _on(("product", "campaign", "segment", "promotion", "article"), read=ALL)
        + _on(("activity", "task"), read=OWN, create=ALL, edit=OWN, delete=OWN)
        + _on("analytics", read=ALL)
        + _on("quota", read=OWN)
        + _on("integration", read=ALL)
        + _on("automation", read=ALL)
        + _on(("booking", "letter_template"), read=ALL, manage=OWN),
    ),
    RoleDefault(
        "marketer",
        "Marketer",
        "Runs campaigns and works on leads and contacts; reads deals",
        _on(("campaign", "lead", "contact"), read=ALL, create=ALL, edit=ALL, delete=OWN, export=ALL)
        + _on("segment", read=ALL, create=ALL, edit=ALL, delete=ALL, export=ALL)
        + _on(("lead_form", "survey", "letter_template"), read=ALL, manage=ALL)
        + _on("promotion", read=ALL, create=ALL, edit=ALL, delete=ALL, export=ALL)
        + _on("promotion", **{"import": ALL})
        + _on("automation", read=ALL, manage=ALL)
        + _on("booking", read=ALL, manage=OWN)
        + _on(("lead", "contact"), **{"import": ALL})
        + _on(("account", "deal", "order", "product", "article"), read=ALL)
        + _on(("activity", "task"), read=OWN, create=ALL, edit=OWN, delete=OWN)
        + _on("analytics", read=ALL, manage=ALL)
        + _on("integration", read=ALL),
    ),
    RoleDefault(
        "support_agent",
        "Support agent",
        "Answers tickets; reads customers and orders, and looks after the accounts handed over to them",
        _on("ticket", read=ALL, create=ALL, edit=ALL, export=ALL)
        + _on("article", read=ALL, create=ALL, edit=ALL, delete=OWN, export=ALL)
        + _on("help_centre", read=ALL)
        + _on(("mailbox", "survey", "telephony"), read=ALL)
        + _on("account", read=ALL, edit=OWN)
        + _on(("order", "product", "promotion"), read=ALL)
        + _on("contact", read=ALL, create=ALL, edit=ALL)
        + _on(("activity", "task"), read=OWN, create=ALL, edit=OWN, delete=OWN)
        + _on("analytics", read=ALL)
        + _on("integration", read=ALL)
        + _on("automation", read=ALL)
        + _on(("booking", "letter_template"), read=ALL, manage=OWN),
    ),
    RoleDefault(
        "analyst",
        "Analyst",
        "Reads everything, writes nothing; personal data is masked",
        _on(RECORDS, read=ALL, export=ALL)
        + _on(("analytics", "quota", "view", "integration", "survey", "letter_template"), read=ALL)
        + _on("automation", read=ALL),
        tuple((entity, key) for entity, keys in PERSONAL.items() for key in keys),
    ),
)
