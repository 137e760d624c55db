"""What goes where when two records become one: every reference to a person or a company, and which value of a field stays. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Table, UniqueConstraint

from crm_core.fields import FieldSpec
from crm_core.kit.text import fold
from crm_core.models import Base
from crm_core.vocabulary import AccountKind, FieldKind, PreferredChannel

PLACED = (
    "attachment", "follow", "interaction", "notification", "pin", "privacy_request", "product_suggestion", "queue_item", "routing_decision",
    "survey_invitation",
)  # fmt: skip
"""Tables whose rows name the record by ``entity`` and ``record_id``, and go along."""

PLAIN = {"survey_invitation.account_id": "account"}
"""Columns that name a record without a foreign key, and go along."""

STAYS = {
    "analysis_mark": "what an analysis found, of the records as they were; the next run marks the one that stays",
    "automation_step": "the log of a run",
    "duplicate_pair": "what was decided about two records",
    "event_log": "the log is sealed; the timeline of the one that stays reads it along",
    "import_link": "what an import made, for undoing it",
    "import_row": "what an import made, for undoing it",
    "inbox_done": "names calls and comments",
    "match_key": "written anew with the record",
    "personal_read": "proof of who looked at which record",
    "record_merge": "read along the chain",
    "search_document": "written anew with the record",
    "shop_link": "names orders, goods and carts",
    "webhook_delivery": "what was sent to another program",
}
"""Tables that name a record and keep naming the one that went, with the reason."""

OWN_WAY = ("contact_point", "account_point", "consent", "segment_member", "automation_run")
"""Tables with a rule of their own in ``merging``."""

PARKED = ("deal_contact",)
"""Tables in which one person stands once, whoever reads them: what stands with both is put aside, and comes back when the merge is taken apart."""

COUNTED = {
    "contact": ("person", "people"), "deal": ("deal", "deals"), "lead": ("lead", "leads"), "sales_order": ("order", "orders"), "ticket": ("ticket", "tickets"),
    "activity": ("activity", "activities"), "task": ("task", "tasks"), "attachment": ("file", "files"), "campaign_member": ("campaign", "campaigns"),
    "segment_member": ("segment", "segments"), "deal_contact": ("buying committee", "buying committees"), "survey_invitation": ("survey", "surveys"),
    "consent": ("word of consent", "words of consent"), "contact_point": ("address or number", "addresses and numbers"),
    "account_point": ("address or number", "addresses and numbers"), "mail_delivery": ("letter", "letters"), "booking": ("booking", "bookings"),
    "touchpoint": ("visit or response", "visits and responses"), "dial_entry": ("call list", "call lists"), "promotion_redemption": ("code used", "codes used"),
    "account": ("account below", "accounts below"), "automation_run": ("automation under way", "automations under way"),
}  # fmt: skip
OTHER = ("other entry", "other entries")
"""What rows that go along are called, one and many; all others are ``OTHER``."""


@dataclass(frozen=True)
class Link:
    """A column whose rows go along. ``placed``: only where ``entity`` says the kind. ``unique``: what may stand there only once with it: the other
    columns, and the condition of a partial index by dialect ("" for none)."""

    table: Table
    column: str
    placed: bool
    unique: tuple[tuple[tuple[str, ...], Mapping[str, str]], ...]

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column}"


@lru_cache(maxsize=8)
def links(entity_key: str) -> tuple[Link, ...]:
    """Everything that names a record of this kind and goes along with it, found from the foreign keys of all tables and from what is declared above."""
    found = []
    for table in Base.metadata.sorted_tables:
        if table.name in STAYS or table.name in OWN_WAY:
            continue
        columns = [one.name for one in table.c if any(key.column.table.name == entity_key for key in one.foreign_keys)]
        columns += [name.split(".")[1] for name, key in PLAIN.items() if key == entity_key and name.split(".")[0] == table.name]
        found += [Link(table, column, False, _unique(table, column)) for column in columns]
        if table.name in PLACED:
            found.append(Link(table, "record_id", True, _unique(table, "record_id")))
    return tuple(found)


def _unique(table: Table, column: str) -> tuple[tuple[tuple[str, ...], Mapping[str, str]], ...]:
    found: list[tuple[tuple[str, ...], Mapping[str, str]]] = []
    for one in table.constraints:
        if isinstance(one, UniqueConstraint) and column in one.columns:
            found.append((tuple(c.name for c in one.columns if c.name != column), {}))
    for index in table.indexes:
        if index.unique and column in [c.name for c in index.columns]:
            where = {name: str(index.dialect_options[name].get("where")) for name in ("sqlite", "postgresql")}
            partial = {} if where["sqlite"] == "None" else where
            found.append((tuple(c.name for c in index.columns if c.name != column), partial))
    return tuple(found)


# --- which value stays --------------------------------------------------------------------------------------------------------

SURVIVOR, LOSER, BOTH = "survivor", "loser", "both"
SIDES = (SURVIVOR, LOSER)
PLACES = ("street", "postcode", "city", "country")
"""An address is taken as a whole: the street of one and the town of the other would be nobody's."""
STRICT = ("do_not_call", "do_not_email")

Now = Mapping[str, Any]
"""Field → value of a record."""


@dataclass(frozen=True)
class Difference:
    """Fields that stay together and differ. ``proposed``: one of ``options``; ``filled``: only one of the two says anything at all; ``open``: the person may
    choose."""

    keys: tuple[str, ...]
    label: str
    proposed: str
    options: tuple[str, ...]
    filled: bool
    open: bool = True

    @property
    def key(self) -> str:
        return self.keys[0]


@dataclass(frozen=True)
class Weighing:
    """What decides between two values: when each record's field was written last (``newer``: key → side), which side was made first, and how good an
    address or number is (key → side whose is better)."""

    newer: Mapping[str, str]
    older_record: str
    better: Mapping[str, str]


def differences(
    specs: Mapping[str, FieldSpec],
    survivor: Now,
    loser: Now,
    weighing: Weighing,
    *,
    closed: Collection[str] = (),
    frozen: bool = False,
) -> list[Difference]:
    """The fields in which two records differ, in the order of ``specs``, with what is proposed. ``closed``: fields about which the person has no say;
    ``frozen``: the record that stays keeps all that it says."""
    found: list[Difference] = []
    places = tuple(key for key in PLACES if key in specs)
    for key, spec in specs.items():
        group = places if key in places else (key,)
        if key != group[0] or not (spec.editable and key not in STRICT) or all(survivor[one] == loser[one] for one in group):
            continue
        mine, theirs = ([record[one] for one in group if not _empty(record[one])] for record in (survivor, loser))
        if not mine and not theirs:
            continue
        label = "Address" if len(group) > 1 else spec.label
        say = not frozen and not any(one in closed for one in group)
        filled = not mine or not theirs
        if filled:
            side = SURVIVOR if mine else LOSER
        elif not say:
            side = SURVIVOR
        else:
            side = _place(mine, theirs, weighing, group) if len(group) > 1 else _better(spec, survivor[key], loser[key], weighing)
        options = (*SIDES, BOTH) if spec.kind is FieldKind.LONG_TEXT and not filled else SIDES
        found.append(Difference(group, label, side, options, filled, say))
    return found


def _empty(value: Any) -> bool:
    return value in (None, "")


def _place(mine: list[Any], theirs: list[Any], weighing: Weighing, group: Iterable[str]) -> str:
    """The more complete address; of two alike the one that was written later."""
    if len(mine) != len(theirs):
        return SURVIVOR if len(mine) > len(theirs) else LOSER
    return next((weighing.newer[key] for key in group if key in weighing.newer), SURVIVOR)


def _better(spec: FieldSpec, mine: Any, theirs: Any, weighing: Weighing) -> str:
    if spec.key in weighing.better:
        return weighing.better[spec.key]
    if spec.kind is FieldKind.LONG_TEXT:
        return BOTH
    rule = _RULES.get(spec.key)
    if rule is not None:
        return rule(mine, theirs, weighing)
    if isinstance(mine, str) and isinstance(theirs, str) and spec.textual:
        ours, other = fold(mine), fold(theirs)
        if ours != other and (ours in other or other in ours):
            return SURVIVOR if len(ours) > len(other) else LOSER
    return weighing.newer.get(spec.key, SURVIVOR)


def _longer(mine: str, theirs: str, weighing: Weighing) -> str:
    """The name that says more: “Felix Neumann” before “F. Neumann”, “Acme GmbH” before “Acme”."""
    if len(fold(mine)) == len(fold(theirs)):
        return weighing.newer.get("name", SURVIVOR)
    return SURVIVOR if len(fold(mine)) > len(fold(theirs)) else LOSER


def _channel(mine: Any, theirs: Any, weighing: Weighing) -> str:
    """One that somebody chose before none in particular."""
    if PreferredChannel.ANY in (mine, theirs):
        return LOSER if mine is PreferredChannel.ANY else SURVIVOR
    return weighing.newer.get("preferred_channel", SURVIVOR)


_RULES: Mapping[str, Callable[[Any, Any, Weighing], str]] = {
    "owner_id": lambda _mine, _theirs, _w: SURVIVOR,
    "status_id": lambda _mine, _theirs, _w: SURVIVOR,
    "source": lambda _mine, _theirs, weighing: weighing.older_record,
    "customer_since": lambda mine, theirs, _w: SURVIVOR if mine <= theirs else LOSER,
    "name": _longer,
    "preferred_channel": _channel,
    "kind": lambda _mine, theirs, _w: LOSER if theirs is AccountKind.CUSTOMER else SURVIVOR,
}
"""Fields for which something else counts than what is newer: who is responsible stays, and the first origin, the earliest day, a customer is one."""


def settle(found: Iterable[Difference], choices: Mapping[str, str], survivor: Now, loser: Now) -> dict[str, Any]:
    """Field → value that the record which stays gets, where that is another one. ``choices``: key of a difference → one of its options; what is
    not said, or not open, is as proposed."""
    written: dict[str, Any] = {}
    for one in found:
        said = choices.get(one.key)
        side = said if one.open and said in one.options else one.proposed
        for key in one.keys:
            value = survivor[key] if side == SURVIVOR else loser[key] if side == LOSER else joined(survivor[key], loser[key])
            if value != survivor[key]:
                written[key] = value
    return written


def joined(mine: str, theirs: str) -> str:
    """Two texts one below the other; one that holds the other alone."""
    if fold(theirs) in fold(mine):
        return mine
    return theirs if fold(mine) in fold(theirs) else f"{mine}\n\n{theirs}"


def strict(survivor: Now, loser: Now) -> dict[str, Any]:
    """What nobody chooses: whoever wants no calls, no letters or no contact at all on one of the two records wants none."""
    written: dict[str, Any] = {key: True for key in STRICT if key in survivor and loser[key] and not survivor[key]}
    if PreferredChannel.NONE in (survivor.get("preferred_channel"), loser.get("preferred_channel")):
        written["preferred_channel"] = PreferredChannel.NONE
    return written


def earliest(mine: datetime | None, theirs: datetime | None) -> datetime | None:
    """The first of two instants, of which there may be none."""
    return min((one for one in (mine, theirs) if one is not None), default=None)
