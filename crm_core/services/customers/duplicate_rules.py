"""How alike two records are, and why. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rapidfuzz import fuzz

SURE, LIKELY = 0.95, 0.6
WEIGHTS = {"email": 0.97, "phone": 0.9, "domain": 0.65, "person": 0.7, "company": 0.9, "account": 0.4, "postcode": 0.4}
REASONS = {
    "email": "same e-mail address",
    "phone": "same phone number",
    "domain": "same web domain",
    "person": "same name",
    "company": "same company name",
    "like": "similar name",
    "account": "same account",
    "postcode": "same postcode",
}
ALIKE, OF_LIKENESS = 0.86, 0.75
"""From this likeness on two names are similar, and so much of it counts."""
APART = 0.7
"""What is left of a name alone where everything else that is known of both differs."""


@dataclass(frozen=True)
class Traits:
    """What one record is recognised by. ``name``: its words in alphabetical order, folded; ``place``: its account, or its postcode."""

    name: str = ""
    emails: frozenset[str] = field(default_factory=frozenset)
    phones: frozenset[str] = field(default_factory=frozenset)
    domain: str = ""
    place: str = ""


def score(evidence: Iterable[float]) -> float:
    """Probability that at least one piece of evidence is right, as if they were independent."""
    miss = 1.0
    for weight in evidence:
        miss *= 1 - weight
    return 1 - miss


def likeness(mine: str, theirs: str) -> float:
    """0–1: how alike two keys of names are (``crm_core.matching.name_key``)."""
    return fuzz.token_sort_ratio(mine, theirs) / 100


def compare(entity_key: str, one: Traits, other: Traits) -> Mapping[str, float]:
    """Kind of evidence → weight. The place counts only beside a name: colleagues share it."""
    found: dict[str, float] = {}
    for kind, mine, theirs in (("email", one.emails, other.emails), ("phone", one.phones, other.phones)):
        if mine & theirs:
            found[kind] = WEIGHTS[kind]
    if one.domain and one.domain == other.domain:
        found["domain"] = WEIGHTS["domain"]
    named = "company" if entity_key == "account" else "person"
    if one.name and one.name == other.name:
        found[named] = WEIGHTS[named]
    elif one.name and other.name and (alike := likeness(one.name, other.name)) >= ALIKE:
        found["like"] = OF_LIKENESS * alike
    if one.place and one.place == other.place and {named, "like"} & found.keys():
        kind = "postcode" if entity_key == "account" else "account"
        found[kind] = WEIGHTS[kind]
    return found


def rate(one: Traits, other: Traits, evidence: Mapping[str, float]) -> float:
    """How likely two records are the same, 0–1. Two people of one name who share no address, no number and no company are rather two."""
    found = score(evidence.values())
    known = ((one.emails, other.emails), (one.phones, other.phones), (one.place, other.place))
    if len(evidence) == 1 and {"person", "like"} & evidence.keys() and any(mine and theirs for mine, theirs in known):
        return found * APART
    return found
