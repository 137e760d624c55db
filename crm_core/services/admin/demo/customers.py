"""Companies and their people: where they are, what kind of customer they are, since when, and until when."""

import json
from typing import Any

import numpy as np

from crm_core.kit.text import email_key
from crm_core.services.admin.demo.draft import Array, Draft, maybe, normalised, pick
from crm_core.services.admin.demo.staff import COUNTRIES_OF, slug
from crm_core.services.admin.demo.words import words

SOURCES = ("Website", "Referral", "Event", "Paid search", "Social media", "E-mail campaign", "Partner", "Cold call")
SOURCE_SHARE = (0.26, 0.16, 0.14, 0.14, 0.08, 0.10, 0.07, 0.05)
PHONES_PER_PATTERN = 1_000_000


def add(draft: Draft) -> None:
    """Accounts, contacts and contact points. Knows afterwards everything about customers that buying and selling need."""
    _accounts(draft)
    _contacts(draft)
    _points(draft)


def _accounts(draft: Draft) -> None:
    rng, n, spec = draft.stream(2), draft.sizes.accounts, words("companies")
    kinds = list(draft.truth.kinds)
    kind = rng.choice(len(kinds), n, p=[draft.truth.kinds[k].share for k in kinds])
    country = countries(rng, n)
    city = cities(rng, country)
    names, domains = _names(rng, kind, city)
    joined = draft.business_day(-(rng.beta(1.1, 1.6, n) * 760).astype(int) - 3)
    created = draft.at(joined, rng)
    life = _life(draft, rng, kind, joined)
    owner = _owners(draft, rng, country)
    industry = np.array([spec["kinds"][k]["industry"] for k in kinds], dtype=object)[kind]
    employees = np.exp(rng.normal(np.array([2.0, 3.4, 4.6, 2.4])[kind], 0.8)).astype(int) + 1
    status = np.where(~life["buys"], "prospect", np.where(life["left"] < -120, "former", "customer")).astype(object)
    draft.put(
        "account",
        name=names,
        kind=status,
        industry=np.where(
            rng.random(n) < 0.8, industry, pick(rng, ("Retail", "Services", "Entertainment", "Education", "Other"), n)
        ),
        website=[f"https://www.{domain}" for domain in domains],
        domain=domains,
        phone=phones(rng, country, 0),
        employees=employees,
        revenue_minor=(employees * np.exp(rng.normal(11.3, 0.4, n))).astype(np.int64) * 100,
        founded_year=draft.now.year - 4 - rng.geometric(0.06, n).clip(max=120),
        street=_streets(rng, country),
        postcode=_postcodes(rng, country),
        city=city,
        country=np.array([c["name"] for c in words("places")["countries"]], dtype=object)[country],
        parent_id=_parents(rng, kind),
        owner_id=owner,
        customer_since=np.where(life["buys"], joined, np.datetime64("NaT", "D")),
        renews_on=_renewals(draft, joined, life),
        customer_until=np.where(life["buys"] & (life["left"] < 0), draft.day(_last_day(life)), np.datetime64("NaT", "D")),
        description=maybe(rng, pick(rng, spec["descriptions"], n), 0.3),
        extra=[
            _extra(*row)
            for row in zip(life["monthly"].tolist(), rng.geometric(0.6, n).tolist(), life["buys"].tolist(), strict=True)
        ],
        created_at=created,
        updated_at=created,
    )
    draft.happened(
        "account.created",
        "account",
        draft.tables["account"]["id"],
        created,
        account_id=draft.tables["account"]["id"],
        actor_id=owner,
    )
    draft.known.update(kind=kind, kinds=kinds, country=country, owner=owner, joined=joined, **life)


def _life(draft: Draft, rng: np.random.Generator, kind: Array, joined: Array) -> dict[str, Array]:
    """Who buys, under which contract, who had trouble, and the day (offset from today, infinite when none) after which nothing is bought."""
    n, truth = len(kind), draft.truth
    buys = rng.random(n) >= truth.prospect_share
    monthly = rng.random(n) < 0.5
    trouble = buys & (rng.random(n) < truth.trouble_share)
    hazard = np.array([k.leaves_per_year for k in truth.kinds.values()])[kind]
    hazard = hazard * np.where(trouble, truth.trouble_hazard_factor, 1) * np.where(monthly, truth.monthly_hazard_factor, 1)
    first = (joined - draft.today).astype(int)
    left = first + 30 + rng.exponential(365.25 / hazard)
    return {"buys": buys, "monthly": monthly, "trouble": trouble, "first": first, "left": np.where(left < 0, left, np.inf)}


def _last_day(life: dict[str, Array]) -> Array:
    """Offset of the day on which a contract ended; today for those that run."""
    return np.where(life["left"] < 0, np.floor(life["left"]), 0).astype(int)


def _renewals(draft: Draft, joined: Array, life: dict[str, Array]) -> Array:
    """The next day on which a running contract goes on: a month or a year at a time since it began."""
    term = np.where(life["monthly"], 30, 365)
    age = (draft.today - joined).astype(int)
    following = joined + (age // term + 1) * term
    return np.where(life["buys"] & ~np.isfinite(life["left"]), following, np.datetime64("NaT", "D"))


def _extra(monthly: bool, sites: int, buys: bool) -> str:
    return json.dumps({"x_contract": "Monthly" if monthly else "Yearly", "x_sites": min(sites, 9)}) if buys else "{}"


def countries(rng: np.random.Generator, n: int) -> Array:
    weights = normalised([country["weight"] for country in words("places")["countries"]])
    return rng.choice(len(weights), n, p=weights)


def by_country(rng: np.random.Generator, country: Array, lists: dict[str, list[str]]) -> Array:
    """One of the words of each row's country."""
    table = np.array([lists[c["name"]] for c in words("places")["countries"]], dtype=object)
    return table[country, rng.integers(0, table.shape[1], len(country))]


def cities(rng: np.random.Generator, country: Array) -> Array:
    return by_country(rng, country, words("places")["cities"])


def _streets(rng: np.random.Generator, country: Array) -> list[str]:
    streets = by_country(rng, country, words("places")["streets"])
    return [f"{street} {number}" for street, number in zip(streets, rng.integers(1, 120, len(country)).tolist(), strict=True)]


def _postcodes(rng: np.random.Generator, country: Array) -> list[str]:
    specs = words("places")["countries"]
    share = rng.random(len(country)).tolist()
    found = []
    for code, u in zip(country.tolist(), share, strict=True):
        low, high = specs[code]["range"]
        found.append(specs[code]["postcode"].format(int(low + u * (high - low))))
    return found


def phones(rng: np.random.Generator, country: Array, taken: int) -> list[str]:
    """Numbers that nobody has: their local part begins with 0, which no network assigns. ``taken``: how many were given out before."""
    patterns = [c["phone"] for c in words("places")["countries"]]
    running = (taken + np.arange(len(country))) * 7_919 % PHONES_PER_PATTERN
    choice = rng.integers(0, 12, len(country)).tolist()
    return [
        patterns[code][c % len(patterns[code])].format(number // 10_000, number % 10_000)
        for code, c, number in zip(country.tolist(), choice, running.tolist(), strict=True)
    ]


def _names(rng: np.random.Generator, kind: Array, city: Array) -> tuple[list[str], list[str]]:
    """Names and web domains, all different: a city is added where a name is taken, then a number."""
    spec = words("companies")["kinds"]
    kinds = list(spec)
    first, second = rng.integers(0, 10_000, len(kind)).tolist(), rng.integers(0, 10_000, len(kind)).tolist()
    seen: set[str] = set()
    names = []
    for code, a, b, town in zip(kind.tolist(), first, second, city, strict=True):
        entry = spec[kinds[code]]
        name = f"{entry['first'][a % len(entry['first'])]} {entry['second'][b % len(entry['second'])]}"
        if name in seen:
            name = f"{name} {town}"
        base, n = name, 2
        while name in seen:
            name, n = f"{base} {n}", n + 1
        seen.add(name)
        names.append(name)
    return names, _domains(names)


def _domains(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        base = slug(name)
        seen[base] = seen.get(base, 0) + 1
        found.append(f"{base}.example" if seen[base] == 1 else f"{base}-{seen[base]}.example")
    return found


def _parents(rng: np.random.Generator, kind: Array) -> Array:
    """Some companies belong to an earlier one of their kind."""
    n = len(kind)
    parent = (rng.random(n) * np.arange(n)).astype(int)
    belongs = (rng.random(n) < 0.06) & (kind[parent] == kind) & (np.arange(n) > 0)
    top = np.where(belongs, parent + 1, 0)
    return np.where(top[parent] == 0, top, 0)


def _owners(draft: Draft, rng: np.random.Generator, country: Array) -> Array:
    """A sales rep of the team that works the country."""
    names = [c["name"] for c in words("places")["countries"]]
    owner = np.zeros(len(country), dtype=int)
    for team, countries in COUNTRIES_OF.items():
        rows = np.isin(country, [names.index(name) for name in countries])
        owner[rows] = rng.choice(draft.known["reps_of"][team], int(rows.sum()))
    return owner


def _contacts(draft: Draft) -> None:
    rng, n, people = draft.stream(3), draft.sizes.contacts, words("people")
    accounts, known = draft.sizes.accounts, draft.known
    extra = np.bincount(rng.integers(0, accounts, n - accounts), minlength=accounts)
    account = np.repeat(np.arange(accounts), 1 + extra)
    country = np.where(rng.random(n) < 0.88, known["country"][account], countries(rng, n))
    names = [
        f"{first} {last}"
        for first, last in zip(by_country(rng, country, people["first"]), by_country(rng, country, people["last"]), strict=True)
    ]
    titles = np.array([people["titles"][k] for k in known["kinds"]], dtype=object)
    joined = np.minimum(known["joined"][account] + rng.integers(0, 200, n) * (rng.random(n) < 0.5), draft.today - 2)
    created = draft.at(np.busday_offset(joined, 0, roll="backward"), rng)
    owner = known["owner"][account]
    languages = np.array([c["language"] for c in words("places")["countries"]], dtype=object)
    emails = _addresses(names, np.array(draft.tables["account"]["domain"], dtype=object)[account])
    draft.put(
        "contact",
        name=names,
        job_title=titles[known["kind"][account], rng.integers(0, titles.shape[1], n)],
        account_id=account + 1,
        email=emails,
        phone=maybe(rng, np.array(phones(rng, country, accounts), dtype=object), 0.85),
        birthday=np.where(rng.random(n) < 0.2, draft.day(-rng.integers(23 * 365, 64 * 365, n)), np.datetime64("NaT", "D")),
        city=draft.tables["account"]["city"][account],
        country=draft.tables["account"]["country"][account],
        source=pick(rng, SOURCES, n, SOURCE_SHARE),
        owner_id=owner,
        preferred_channel=pick(rng, ("any", "email", "phone", "meeting", "none"), n, (0.6, 0.2, 0.12, 0.06, 0.02)),
        preferred_hours=maybe(rng, pick(rng, ("08:00-10:00", "09:00-12:00", "13:00-16:00", "15:00-17:30"), n), 0.25),
        language=languages[country],
        goals=maybe(rng, pick(rng, people["goals"], n), 0.18),
        do_not=maybe(rng, pick(rng, people["do_not"], n), 0.05),
        do_not_call=rng.random(n) < 0.04,
        do_not_email=rng.random(n) < 0.03,
        created_at=created,
        updated_at=created,
    )
    draft.happened("contact.created", "contact", draft.tables["contact"]["id"], created, account_id=account + 1, actor_id=owner)
    counts = 1 + extra
    known.update(contact_account=account, contact_count=counts, contact_start=np.concatenate([[0], np.cumsum(counts)[:-1]]))


def _addresses(names: list[str], domains: Array) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name, domain in zip(names, domains, strict=True):
        base = f"{slug(name, '.')}@{domain}"
        seen[base] = seen.get(base, 0) + 1
        found.append(base if seen[base] == 1 else base.replace("@", f"{seen[base]}@"))
    return found


def _points(draft: Draft) -> None:
    """The main address and number of each person, and for some a private one."""
    rng, contacts = draft.stream(4), draft.tables["contact"]
    n = draft.sizes.contacts
    rows: list[tuple[int, str, str, str, str, bool]] = []
    private, mobile = (rng.random(n) < 0.3).tolist(), (rng.random(n) < 0.25).tolist()
    cells: Any = zip(contacts["email"], contacts["phone"], private, mobile, strict=True)
    for number, (email, phone, has_private, has_mobile) in enumerate(cells, 1):
        rows.append((number, "email", email, email_key(email), "Work", True))
        if has_private:
            second = f"{email.split('@')[0]}.{number}@post.example"
            rows.append((number, "email", second, email_key(second), "Private", False))
        if phone:
            rows.append((number, "phone", phone, phone_digits(phone), "Work", True))
            if has_mobile:
                second = f"+49 1500 0{number:06d}"
                rows.append((number, "phone", second, phone_digits(second), "Mobile", False))
    keys = ("contact_id", "kind", "value", "value_key", "label", "is_primary")
    draft.put("contact_point", **{key: list(column) for key, column in zip(keys, zip(*rows, strict=True), strict=True)})


def phone_digits(phone: str) -> str:
    """The number as it is compared. Ours are all international already, so the slow parser has nothing to add."""
    return "+" + "".join(filter(str.isdigit, phone))
