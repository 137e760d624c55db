"""Campaigns with a control group and a planted lift, leads in every status, and the touches of all channels."""

from typing import Any

import numpy as np

from crm_core.services.admin.demo.customers import SOURCE_SHARE, SOURCES, by_country, countries, phones
from crm_core.services.admin.demo.draft import Array, Draft, maybe, only, pick
from crm_core.services.admin.demo.selling import CHANNEL_OF
from crm_core.services.admin.demo.staff import slug
from crm_core.services.admin.demo.words import words

COST_MINOR = {
    "email": 4,
    "paid_search": 140,
    "social": 45,
    "display": 12,
    "direct_mail": 160,
    "event": 2_500,
    "sms": 9,
    "phone": 400,
}
LEAD_STATUS_SHARE = {"open": 0.26, "working": 0.22, "qualified": 0.10, "unqualified": 0.14, "recycled": 0.12, "converted": 0.16}
REASONS = ("No budget", "No need", "Not reachable", "Competitor", "Other")
DUPLICATE_SHARE = 0.04
MEMBERS_SHARE = 0.28
LETTER_MEMBERS = 2_000


def add_campaigns(draft: Draft) -> None:
    """Campaigns of the last two years, one running, one scheduled, one still a draft; and the deals that came from them."""
    rng, n = draft.stream(11), draft.sizes.campaigns
    specs = words("texts")["campaigns"]
    start = np.linspace(-700, -30, n).astype(int) + rng.integers(-10, 10, n)
    start[-3:] = (-12, 20, 45)
    length = rng.integers(21, 60, n)
    status = np.where(start + length < 0, "completed", "running").astype(object)
    status[-2:] = ("scheduled", "draft")
    budget = rng.integers(20, 240, n) * 10_000
    starts_on = draft.day(start)
    names = [f"{specs[i % len(specs)][0]} {str(day)[:4]}" for i, day in enumerate(starts_on.tolist())]
    created = np.minimum(draft.at(np.busday_offset(draft.day(np.minimum(start - 25, -2)), 0, roll="backward"), rng), draft.instant)
    draft.put(
        "campaign",
        name=_distinct(names),
        status=status,
        goal=[specs[i % len(specs)][1] for i in range(n)],
        starts_on=starts_on,
        ends_on=draft.day(start + length),
        budget_minor=budget,
        expected_response_pct=np.round(rng.uniform(6, 16, n), 1),
        expected_revenue_minor=budget * rng.integers(2, 6, n),
        owner_id=rng.choice(draft.known["marketers"], n),
        created_at=created,
        updated_at=created,
    )
    campaign = draft.tables["campaign"]
    draft.happened("campaign.created", "campaign", campaign["id"], created, actor_id=campaign["owner_id"])
    draft.known.update(campaign_start=start, campaign_end=start + length)
    _channels(draft, rng, specs, budget, start)
    _credit_deals(draft, rng)


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}, wave {seen[name]}")
    return found


def _channels(draft: Draft, rng: np.random.Generator, specs: list[Any], budget: Array, start: Array) -> None:
    rows = [(i, channel) for i in range(len(budget)) for channel in specs[i % len(specs)][2]]
    of = np.array([row[0] for row in rows])
    planned = (budget[of] / np.bincount(of)[of]).astype(np.int64) // 100 * 100
    done = np.clip(-start[of] / 30, 0, 1)
    draft.put(
        "campaign_channel",
        campaign_id=of + 1,
        channel=[row[1] for row in rows],
        planned_cost_minor=planned,
        actual_cost_minor=(planned * done * rng.uniform(0.7, 1.15, len(of))).astype(np.int64) // 100 * 100,
        starts_on=draft.tables["campaign"]["starts_on"][of],
        ends_on=draft.tables["campaign"]["ends_on"][of],
    )
    draft.known["campaign_channels"] = [[c for i, c in rows if i == number] for number in range(len(budget))]


def _turned_into_deals(draft: Draft) -> Array:
    """How likely each deal is to have been a lead first: by the planted effects of the sources."""
    source, effects = draft.tables["deal"]["source"], draft.truth.lead_effects
    weight = np.exp([effects.get(f"source={name}", 0.0) for name in source])
    return weight / weight.sum()


def _campaign_then(draft: Draft, rng: np.random.Generator, source: Array, created: Array) -> Array:
    """The campaign that leads of an event or a mailing mostly name, as deals do: the latest that had begun."""
    began = draft.known["campaign_start"][:-2]
    day = ((created.astype("datetime64[D]")) - draft.today).astype(int)
    latest = np.searchsorted(began, day, side="right")
    recent = day - began[np.maximum(latest - 1, 0)] < 90
    named = np.isin(source, ("Event", "E-mail campaign")) & (rng.random(len(source)) < 0.8)
    return np.where(named & (latest > 0) & recent, latest, 0)


def _credit_deals(draft: Draft, rng: np.random.Generator) -> None:
    """Deals whose source is an event or a mailing mostly name the campaign that ran when they were opened; their orders name it too."""
    known, deal = draft.known, draft.tables["deal"]
    opened = (known["opened_on"] - draft.today).astype(int)
    eligible = np.isin(deal["source"], ("Event", "E-mail campaign")) & (rng.random(len(opened)) < 0.8)
    latest = np.searchsorted(known["campaign_start"][:-2], opened, side="right")
    recent = opened - known["campaign_start"][np.maximum(latest - 1, 0)] < 90
    deal["campaign_id"] = np.where(eligible & (latest > 0) & recent, latest, 0)
    order = draft.tables["sales_order"]
    order["campaign_id"] = np.where(order["deal_id"] > 0, deal["campaign_id"][np.maximum(order["deal_id"] - 1, 0)], 0)


def add_leads(draft: Draft, status_ids: dict[str, int]) -> None:
    """Leads; converted ones became a deal of ours, and a few repeat a person we know already (planted duplicates)."""
    rng, n, known = draft.stream(12), draft.sizes.leads, draft.known
    converted = min(int(n * LEAD_STATUS_SHARE["converted"]), draft.sizes.deals // 3)
    others = [kind for kind in LEAD_STATUS_SHARE if kind != "converted"]
    share = np.array([LEAD_STATUS_SHARE[kind] for kind in others])
    kind = np.concatenate([np.full(converted, "converted", dtype=object), pick(rng, others, n - converted, share / share.sum())])
    drawn = rng.choice(draft.sizes.deals, converted, replace=False, p=_turned_into_deals(draft))
    deal = np.concatenate([np.sort(drawn), np.zeros(n - converted, dtype=int)])
    is_deal = np.arange(n) < converted
    age = np.where(np.isin(kind, ("open", "working")), rng.integers(1, 45, n), rng.integers(5, 400, n))
    created = draft.at(np.busday_offset(draft.day(-age), 0, roll="backward"), rng)
    created = np.where(
        is_deal, known["deal_created"][deal] - (rng.integers(2, 25, n) * 86_400_000_000).astype("timedelta64[us]"), created
    )
    order = np.argsort(created, kind="stable")
    kind, deal, is_deal, created = kind[order], deal[order], is_deal[order], created[order]
    person = _persons(draft, rng, n, is_deal, known["deal_contact"][deal])
    country_owner = np.where(is_deal, known["deal_owner"][deal], rng.choice(known["reps"], n))
    owner = np.where((kind == "open") & (rng.random(n) < 0.4), 0, country_owner)
    never = np.datetime64("NaT", "us")
    answered = ~np.isin(kind, ("open",))
    response = np.minimum(created + (np.exp(rng.normal(1.2, 1.0, n)) * 3.6e9).astype("timedelta64[us]"), draft.instant)
    at = np.where(is_deal, known["deal_created"][deal], never)
    source = np.where(is_deal, draft.tables["deal"]["source"][deal], pick(rng, SOURCES, n, SOURCE_SHARE))
    draft.put(
        "lead",
        **person,
        status_id=np.array([status_ids[k] for k in kind]),
        source=source,
        campaign_id=np.where(is_deal, draft.tables["deal"]["campaign_id"][deal], _campaign_then(draft, rng, source, created)),
        owner_id=owner,
        estimated_minor=maybe(rng, rng.integers(5, 160, n) * 10_000, 0.6),
        disqualified_reason=only(kind == "unqualified", pick(rng, REASONS, n)),
        description=maybe(rng, pick(rng, words("texts")["leads"], n), 0.6),
        first_response_at=np.where(answered, np.where(is_deal, np.minimum(response, at), response), never),
        converted_at=at,
        converted_account_id=np.where(is_deal, known["deal_account"][deal] + 1, 0),
        converted_contact_id=np.where(is_deal, known["deal_contact"][deal] + 1, 0),
        converted_deal_id=np.where(is_deal, deal + 1, 0),
        created_at=created,
        updated_at=np.where(is_deal, at, created),
    )
    ids = draft.tables["lead"]["id"]
    draft.happened("lead.created", "lead", ids, created, actor_id=owner)
    draft.happened("lead.converted", "lead", ids[is_deal], at[is_deal], actor_id=owner[is_deal])
    known.update(lead_created=created, lead_open=np.flatnonzero(np.isin(kind, ("open", "working"))), lead_owner=owner)


def _persons(draft: Draft, rng: np.random.Generator, n: int, is_deal: Array, contact: Array) -> dict[str, Any]:
    """Name, company and addresses: those of the contact where there is one, otherwise new."""
    people, contacts, accounts = words("people"), draft.tables["contact"], draft.tables["account"]
    country = countries(rng, n)
    known_contact = np.where(
        is_deal, contact, np.where(rng.random(n) < DUPLICATE_SHARE, rng.integers(0, draft.sizes.contacts, n), -1)
    )
    same, source = known_contact >= 0, np.maximum(known_contact, 0)
    fresh = [
        f"{a} {b}" for a, b in zip(by_country(rng, country, people["first"]), by_country(rng, country, people["last"]), strict=True)
    ]
    company = _companies(rng, n)
    mails = [
        f"{slug(name, '.')}.{number}@{slug(firm)}.example"
        for number, (name, firm) in enumerate(zip(fresh, company, strict=True), 1)
    ]

    def either(column: Any, other: Any) -> Array:
        return np.where(same, np.array(column, dtype=object)[source], np.array(other, dtype=object))

    firms = np.array(accounts["name"], dtype=object)[draft.known["contact_account"]]
    titles = pick(rng, [title for titles in people["titles"].values() for title in titles], n)
    return {
        "name": either(contacts["name"], fresh),
        "company": either(firms, company),
        "job_title": maybe(rng, titles, 0.7),
        "email": maybe(rng, either(contacts["email"], np.array(mails, dtype=object)), 0.93),
        "phone": maybe(rng, either(contacts["phone"], np.array(phones(rng, country, draft.sizes.accounts + draft.sizes.contacts), dtype=object)), 0.6),
        "city": by_country(rng, country, words("places")["cities"]),
        "country": np.array([c["name"] for c in words("places")["countries"]], dtype=object)[country],
    }  # fmt: skip


def _companies(rng: np.random.Generator, n: int) -> list[str]:
    spec = list(words("companies")["kinds"].values())
    kind = rng.integers(0, len(spec), n).tolist()
    a, b = rng.integers(0, 10_000, n).tolist(), rng.integers(0, 10_000, n).tolist()
    return [
        f"{spec[k]['first'][x % len(spec[k]['first'])]} {spec[k]['second'][y % len(spec[k]['second'])]}"
        for k, x, y in zip(kind, a, b, strict=True)
    ]


def add_members(draft: Draft) -> None:
    """Who was addressed by each campaign that began: most really, a fifth only watched; responses follow the planted lift."""
    rng, known = draft.stream(13), draft.known
    truth, contacts = draft.truth, draft.sizes.contacts
    share = MEMBERS_SHARE if contacts < 1_000 else MEMBERS_SHARE * 0.4 if contacts < 10_000 else 0.025
    campaigns, people = [], []
    letter = int(np.flatnonzero(draft.tables["campaign"]["status"] == "completed")[-1])
    known["letter_campaign"] = letter + 1
    for number, start in enumerate(known["campaign_start"].tolist()):
        if start < 0:
            there = np.flatnonzero(draft.tables["contact"]["created_at"] < draft.instant + np.timedelta64(start, "D"))
            size = LETTER_MEMBERS if number == letter else int(contacts * share)
            chosen = rng.choice(there, min(size, len(there)), replace=False)
            campaigns.append(np.full(len(chosen), number))
            people.append(np.sort(chosen))
    campaign, contact = np.concatenate(campaigns), np.concatenate(people)
    n = len(campaign)
    whole = campaign == letter
    control = rng.random(n) < np.where(whole, truth.letter_control_share, truth.campaign_control_share)
    rate = np.where(whole, truth.letter_base_rate, truth.campaign_base_rate)
    responds = rng.random(n) < rate + np.where(control, 0, np.where(whole, truth.letter_lift, truth.campaign_lift))
    sent = draft.at(draft.day(known["campaign_start"][campaign] + rng.integers(0, 3, n)), rng)
    responded = np.minimum(sent + (rng.uniform(1, 9, n) * 8.64e10).astype("timedelta64[us]"), draft.instant)
    seen = pick(rng, ("sent", "opened", "clicked", "declined"), n, (0.5, 0.33, 0.12, 0.05))
    draft.put(
        "campaign_member",
        campaign_id=campaign + 1,
        contact_id=contact + 1,
        status=np.where(responds, "responded", np.where(control, "planned", seen)).astype(object),
        is_control=control,
        responded_at=np.where(responds, responded, np.datetime64("NaT", "us")),
        created_at=sent,
        updated_at=sent,
    )
    known["member_touches"] = {"campaign": campaign[~control], "contact": contact[~control], "at": sent[~control]}


def add_touchpoints(draft: Draft) -> None:
    """All touches in the order of time: before deals, by campaigns, and visits that led nowhere."""
    rng, known = draft.stream(14), draft.known
    led = known["touches"]
    led_at = known["deal_created"][led["deal"]] - (led["days_before"] * 8.64e10).astype("timedelta64[us]")
    mailed = known["member_touches"]
    channel_of = known["campaign_channels"]
    by_mail = [channel_of[c][i % len(channel_of[c])] for i, c in enumerate(mailed["campaign"].tolist())]
    idle = max(draft.sizes.touchpoints - len(led_at) - len(by_mail), 0)
    who = rng.random(idle)
    idle_contact = np.where(who < 0.75, rng.integers(0, draft.sizes.contacts, idle) + 1, 0)
    idle_lead = np.where((who >= 0.75) & (who < 0.95), rng.integers(0, draft.sizes.leads, idle) + 1, 0)
    anonymous = only(
        who >= 0.95, np.array([f"visitor-{i:07d}" for i in rng.integers(0, idle // 3 + 1, idle).tolist()], dtype=object)
    )
    idle_at = draft.at(draft.day(-rng.integers(1, 720, idle)), rng)
    nothing = np.zeros
    channel = np.concatenate(
        [led["channel"], np.array(by_mail, dtype=object), pick(rng, [*list(CHANNEL_OF.values())[:6], "display", "direct"], idle)]
    )
    at = np.concatenate([led_at, mailed["at"], idle_at])
    order = np.argsort(at, kind="stable")
    columns = {
        "contact_id": np.concatenate([led["contact"] + 1, mailed["contact"] + 1, idle_contact]),
        "lead_id": np.concatenate([nothing(len(led_at) + len(by_mail), dtype=int), idle_lead]),
        "anonymous_id": np.concatenate([np.full(len(led_at) + len(by_mail), None, dtype=object), anonymous]),
        "channel": channel,
        "campaign_id": np.concatenate([nothing(len(led_at), dtype=int), mailed["campaign"] + 1, nothing(idle, dtype=int)]),
        "at": at,
        "kind": np.where(np.isin(channel, ("email", "direct_mail", "sms")), "message", "visit").astype(object),
        "cost_minor": np.array([COST_MINOR.get(c, 0) for c in channel]),
        "created_at": at,
        "updated_at": at,
    }
    draft.put("touchpoint", **{key: values[order] for key, values in columns.items()})
