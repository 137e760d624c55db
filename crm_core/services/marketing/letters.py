"""Campaign letters for real people: put their fields in, make links countable, say what is wrong before anybody gets one."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import Any

from sqlalchemy import case, insert, select
from sqlmodel import Session

from crm_core import db, lists, records
from crm_core.access import Actor, require, visible
from crm_core.channels.email import Letter
from crm_core.entities import entity
from crm_core.errors import CrmError, NotFound
from crm_core.fields import registry
from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.models import CampaignPlan, CampaignVariant, Organisation, TrackedLink
from crm_core.services.collaboration import outbox
from crm_core.services.customers import consent
from crm_core.services.marketing import audience, letter_rules, plans, segments, token_rules, ways
from crm_core.services.marketing.audience import Aimed
from crm_core.services.marketing.letter_rules import COUPON, FIELDS, Flaw
from crm_core.services.sales import promotion_codes
from crm_core.settings import settings
from crm_core.veil import MASK, trace
from crm_core.vocabulary import Action, FieldKind

LINKS: Any = TrackedLink.__table__  # type: ignore[attr-defined]
_SHOWN = (FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.PICK, FieldKind.CHOICE, FieldKind.INTEGER)
_TRACED = {"email": FieldKind.EMAIL}


# --- values of people -------------------------------------------------------------------------------------------------------


def fields(session: Session, actor: Actor, plan: CampaignPlan | None = None) -> dict[str, str]:
    """Fields that letters may use, with their labels: the usual ones and the custom ones of contacts; in a campaign with a promotion its code."""
    if not actor.can("campaign", Action.READ):
        require(actor, "letter_template", Action.READ)
    own = {
        spec.key: spec.label
        for spec in registry(session, "contact").values()
        if spec.custom and spec.kind in _SHOWN and not actor.masked("contact", spec.key)
    }
    coupon = {COUPON: "Discount code, one for each person"} if plan is not None and plan.promotion_id else {}
    return {**FIELDS, **coupon, **own}


def values_of(session: Session, actor: Actor, key: str, ids: Iterable[int]) -> dict[int, dict[str, str]]:
    """What letters put in, for each of some contacts (or leads) that the actor may see."""
    table, users, accounts = entity(key).table, entity("user").table, entity("account").table
    company = accounts.c.name if key == "contact" else table.c.company
    columns = [table.c[name] for name in ("id", "name", "job_title", "city", "country", "extra", "email")]
    columns += [table.c.salutation] if key == "contact" else []
    joined = table.outerjoin(users, users.c.id == table.c.owner_id)
    joined = joined.outerjoin(accounts, accounts.c.id == table.c.account_id) if key == "contact" else joined
    found = session.execute(
        select(*columns, company.label("company"), users.c.name.label("owner"))
        .select_from(joined)
        .where(table.c.id.in_(list(ids)), visible(actor, key, table))
    )
    workspace = session.execute(select(Organisation.name)).scalar() or ""  # type: ignore[call-overload]
    return {row.id: _values(actor, key, row._mapping, workspace) for row in found}


def _values(actor: Actor, key: str, row: Any, workspace: str) -> dict[str, str]:
    first, last = letter_rules.split_name(row["name"] or "")
    found = {name: str(value) for name, value in (row["extra"] or {}).items() if value is not None}
    for name in ("name", "job_title", "city", "country", "salutation", "company", "owner", "email"):
        found[name] = str(row.get(name) or "")
    found |= {"first_name": first, "last_name": last, "workspace": workspace}
    for name, value in found.items():
        source = source_of(key, name)
        if value and actor.masked(*source):
            found[name] = trace(_TRACED.get(source[1], FieldKind.TEXT), value) if actor.veiled(*source) else MASK
    return found


def inside_of(
    session: Session, actor: Actor, key: str, ids: Collection[int], segment_ids: Sequence[int]
) -> dict[int, frozenset[int]]:
    """In which of these segments each of some contacts (or leads) is: one question per segment, not per person. A segment of accounts stands for
    the contacts there. Raises NotFound for a segment that is gone or not shared with the actor."""
    table, found = entity(key).table, {one: set[int]() for one in ids}
    for segment_id in segment_ids:
        clauses = audience.clauses(session, actor, [segment_id], key, table)
        for record_id in (
            session.execute(select(table.c.id).where(table.c.id.in_(list(found)), *clauses)).scalars() if clauses else ()
        ):
            found[record_id].add(segment_id)
    return {one: frozenset(those) for one, those in found.items()}


def part_flaws(session: Session, actor: Actor, body: str) -> list[Flaw]:
    """What is wrong with the segments that the parts of a letter ask for."""
    return segment_flaws(session, actor, letter_rules.segments_in(body))


def segment_flaws(session: Session, actor: Actor, segment_ids: Sequence[int]) -> list[Flaw]:
    """Whether these segments can be asked for by the actor."""
    if len(live_of(session, actor, segment_ids)) == len(segment_ids):
        return []
    return [
        Flaw("A part of the letter is for a segment that was deleted or is not shared with you. Choose another one.", stops=True)
    ]


def live(session: Session, actor: Actor, body: str) -> list[int]:
    """The segments that a letter asks for and that the actor may ask."""
    return live_of(session, actor, letter_rules.segments_in(body))


def live_of(session: Session, actor: Actor, segment_ids: Sequence[int]) -> list[int]:
    """Those of some segments that the actor may ask for."""
    found = []
    for segment_id in segment_ids:
        try:
            found.append(segments.get(session, actor, segment_id).id)
        except CrmError:
            continue
    return found


def seen(actor: Actor, key: str, values: Mapping[str, str]) -> dict[str, str]:
    """Of these values those that are not hidden from the actor, not even as a trace."""
    return {name: value for name, value in values.items() if not actor.masked(*source_of(key, name))}


def source_of(key: str, name: str) -> tuple[str, str]:
    """The record and the field that a letter's field is made of, for contacts (or leads)."""
    if name == "company" and key == "contact":
        return "account", "name"
    return key, "name" if name in ("first_name", "last_name") else name


# --- addresses that can be followed ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Postmark:
    """What makes one message countable: the site's address, the key, the member, and the ids of the links."""

    base_url: str
    key: str
    member_id: int
    links: Mapping[str, int]
    today: date

    def click(self, url: str) -> str:
        found = self.links.get(url)
        return url if found is None else self._at("t", token_rules.CLICK, found)

    @property
    def pixel(self) -> str:
        return self._at("o", token_rules.OPEN, 0) + ".gif"

    @property
    def leave(self) -> str:
        return self._at("u", token_rules.LEAVE, 0)

    @property
    def preferences(self) -> str:
        return self._at("p", token_rules.LEAVE, 0)

    def _at(self, door: str, kind: bytes, link: int) -> str:
        return f"{self.base_url}/{door}/{token_rules.make(self.key, kind, self.member_id, link, self.today)}"


def register_links(session: Session, actor: Actor, campaign_id: int) -> dict[str, int]:
    """Write down every address that the campaign's letters lead to, and give their ids. Nothing else is ever redirected to."""
    wanted = {url for one in plans.variants(session, actor, campaign_id) for url in letter_rules.links(one.body)}
    known = link_ids(session, actor, campaign_id)
    for url in sorted(wanted - set(known)):
        if letter_rules.is_web_address(url):
            session.execute(insert(LINKS).values(campaign_id=campaign_id, url=url))
    db.bump(session, LINKS.name)
    return link_ids(session, actor, campaign_id)


def link_ids(session: Session, actor: Actor, campaign_id: int) -> dict[str, int]:
    """Address → id of the links of a campaign."""
    records.get(session, actor, "campaign", campaign_id)
    return dict(session.execute(select(LINKS.c.url, LINKS.c.id).where(LINKS.c.campaign_id == campaign_id)).tuples().all())


def compose(
    variant: CampaignVariant, values: Mapping[str, str], mark: Postmark | None, postal: str, inside: Collection[int] = ()
) -> Letter:
    """The message for one person, who is in the segments ``inside``. Without a postmark (a preview, a test) links lead straight to their place."""
    body = letter_rules.fill(letter_rules.shown(variant.body, inside), values)
    link: Callable[[str], str] = mark.click if mark else lambda url: url if letter_rules.is_web_address(url) else "#"
    leave = mark.leave if mark else "https://example.com/unsubscribe"
    preferences = mark.preferences if mark else "https://example.com/preferences"
    sender = values.get("workspace") or "us"
    address = f"{sender}, {postal}" if postal else sender
    text = f"{letter_rules.as_text(body, link)}\n\n--\nYou get this from {address}.\nUnsubscribe: {leave}\nChoose what you get: {preferences}\n"
    footer = (
        f"You get this from {escape(address)}.<br>"
        f'<a href="{escape(leave)}" style="color:#6B7280">Unsubscribe</a> · <a href="{escape(preferences)}" style="color:#6B7280">Choose what you get</a>'
    )
    html = letter_rules.page(letter_rules.as_html(body, link), footer, mark.pixel if mark else "")
    headers = {"List-Unsubscribe": f"<{mark.leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"} if mark else {}
    headers["Precedence"] = "bulk"
    return Letter(values.get("email", ""), letter_rules.fill(variant.subject, values), text, html, values.get("name", ""), headers)


def plain(subject: str, body: str, values: Mapping[str, str], inside: Collection[int] = ()) -> Letter:
    """A message about business under way, from one to one: without the footer that news needs, and without anything that counts."""
    filled = letter_rules.fill(letter_rules.shown(body, inside), values)
    html = letter_rules.page(letter_rules.as_html(filled, str), "")
    words, to, name = letter_rules.as_text(filled, str), values.get("email", ""), values.get("name", "")
    return Letter(to, letter_rules.fill(subject, values), words, html, name, {})


# --- before it goes out ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preview:
    """A letter as one real person would get it. ``parts``: how many parts they see, of how many."""

    entity: str
    record_id: int
    name: str
    address: str
    letter: Letter
    parts: tuple[int, int] = (1, 1)


def parts_seen(body: str, inside: Collection[int]) -> tuple[int, int]:
    """How many parts of a letter somebody sees who is in these segments, and how many there are."""
    found = letter_rules.parts(body)
    return sum(one.is_for(inside) for one in found), len(found)


def previews(
    session: Session, actor: Actor, plan: CampaignPlan, variant: CampaignVariant, *, turn: int = 0, size: int = 5
) -> list[Preview]:
    """The letter for some real people of the audience, drawn at random; another ``turn`` draws others."""
    require(actor, "campaign", Action.READ)
    chosen = audience.sample(session, actor, ways.first(session, actor, plan), size=size, turn=turn)
    postal, coupon = consent.rules(session, actor).postal_address, {COUPON: promotion_codes.shown(session, plan.promotion_id)}
    asked = live(session, actor, variant.body)
    found = []
    for key in consent.PEOPLE:
        ids = [record_id for one, record_id in chosen if one == key]
        values = values_of(session, actor, key, ids)
        inside = inside_of(session, actor, key, ids, asked) if ids else {}
        titles = lists.titles(session, actor, key, ids)
        for record_id in ids:
            if record_id in values:
                theirs = inside.get(record_id, frozenset())
                letter = compose(variant, {**values[record_id], **coupon}, None, postal, theirs)
                found.append(
                    Preview(key, record_id, titles.get(record_id, ""), letter.to, letter, parts_seen(variant.body, theirs))
                )
    return found


def lint(session: Session, actor: Actor, plan: CampaignPlan, variant: CampaignVariant) -> list[Flaw]:
    """What is wrong with a wording: the text itself, and what its audience lacks."""
    found = letter_rules.flaws(variant.subject, variant.body, [*fields(session, actor, plan), COUPON])
    found += [*_coupon_flaws(session, plan, variant), *part_flaws(session, actor, variant.body)]
    if not consent.rules(session, actor).postal_address:
        found.append(Flaw("The sender's postal address is missing; many countries ask for it. Set it under Consent and limits."))
    if any(flaw.stops for flaw in found):
        return found
    aim = ways.first(session, actor, plan)
    return [*found, *_holes(session, actor, aim, variant), *_unread(session, actor, aim, variant.body)]


def _coupon_flaws(session: Session, plan: CampaignPlan, variant: CampaignVariant) -> list[Flaw]:
    used = letter_rules.shows_coupon(variant.subject, variant.body)
    if used and not plan.promotion_id:
        return [Flaw("{{coupon}} stands for a discount code: choose the promotion that it comes from.", stops=True)]
    if used and (words := promotion_codes.usable(session, plan.promotion_id)):
        return [Flaw(words, stops=True)]
    if plan.promotion_id and not used and variant.body.strip():
        return [Flaw("A promotion is chosen, but its code stands nowhere in the letter: write {{coupon}} where it should be.")]
    return []


def _unread(session: Session, actor: Actor, plan: Aimed, body: str) -> list[Flaw]:
    """Parts that nobody of the audience would see, and whether somebody would see none at all."""
    found = letter_rules.parts(body)
    wanted = letter_rules.segments_in(body)
    if not wanted:
        return []
    people, groups = 0, dict[frozenset[int], int]()
    for key in consent.PEOPLE:
        if actor.can(key, Action.READ):
            for inside, count in audience.by_segments(session, actor, plan, key, wanted).items():
                groups[inside] = groups.get(inside, 0) + count
                people += count
    empty = sum(count for inside, count in groups.items() if not letter_rules.shown(body, inside).strip())
    flaws = [
        Flaw(f"Nobody of this audience sees part {place}.")
        for place, one in enumerate(found, 1)
        if people and not any(one.is_for(inside) for inside in groups)
    ]
    words = f"The letter would be empty for {written(empty)} of {written(people)} recipients. Add a part that everybody sees."
    return [*flaws, *([Flaw(words, stops=True)] if empty else [])]


def _holes(session: Session, actor: Actor, plan: Aimed, variant: CampaignVariant) -> list[Flaw]:
    used = [name for name in letter_rules.without_fallback(variant.subject, variant.body) if name != COUPON]
    labels = fields(session, actor)
    people, empty = 0, dict.fromkeys(used, 0)
    for key in consent.PEOPLE:
        columns = {name: value for name in used if (value := _column(session, key, name)) is not None}
        if not used or not actor.can(key, Action.READ):
            continue
        count, missing = audience.missing_shares(session, actor, plan, key, columns)
        people += count
        for name in used:
            empty[name] += missing.get(name, count if name not in columns and name not in ("workspace", "owner", "company") else 0)
    return [
        Flaw(
            f"{labels[name]} is empty for {empty[name] / people:.0%} of the recipients and has nothing to fall back on: {{{{{name}|…}}}}"
        )
        for name in used
        if people and empty[name]
    ]


def _column(session: Session, key: str, name: str) -> Any:
    table = entity(key).table
    if name in ("name", "first_name"):
        return table.c.name
    if name == "last_name":
        return case((table.c.name.contains(" "), table.c.name), else_="")
    if name == "company":
        accounts = entity("account").table
        return (
            select(accounts.c.name).where(accounts.c.id == table.c.account_id).scalar_subquery()
            if key == "contact"
            else table.c.company
        )
    if name == "owner":
        users = entity("user").table
        return select(users.c.name).where(users.c.id == table.c.owner_id).scalar_subquery()
    if name in table.c:
        return table.c[name]
    spec = registry(session, key).get(name)
    return spec.expression(table) if spec is not None else None


def send_test(session: Session, actor: Actor, campaign_id: int, variant_key: str, *, submit_key: str) -> str:
    """Mail a wording to oneself, filled with a real person of the audience; gives the address. Counts for nothing. Events: campaign.test_sent."""
    require(actor, "campaign", Action.EDIT)
    plan = plans.get(session, actor, campaign_id)
    variant = next((one for one in plans.variants(session, actor, campaign_id) if one.key == variant_key), None)
    if variant is None:
        raise NotFound("Write the letter first.")
    shown = previews(session, actor, plan, variant, size=1)
    coupon = {COUPON: promotion_codes.shown(session, plan.promotion_id)}
    letter = shown[0].letter if shown else compose(variant, {"name": actor.name, **coupon}, None, "")
    outbox.queue(
        session, actor, to=actor.email, name=actor.name, subject=f"[Test] {letter.subject}", text=letter.text, html=letter.html,
        kind="campaign_test", dedupe_key=f"campaign_test:{campaign_id}:{submit_key}",
    )  # fmt: skip
    return actor.email


def base_url(plan: CampaignPlan) -> str:
    """The address of this site for links in messages: the setting, or what the browser showed at the launch."""
    return (settings().public_url or plan.base_url).rstrip("/")


def today() -> date:
    """The day that tokens carry."""
    return clock.today()
