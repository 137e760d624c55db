"""Text helpers: folding for search and comparison, and normalised keys of e-mail, phone and web addresses."""

import re
import unicodedata
from functools import lru_cache

import phonenumbers

_EXTRA = str.maketrans(
    {"đ": "d", "Đ": "d", "ł": "l", "Ł": "l", "ø": "o", "Ø": "o", "ß": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe"}
)
SORTED = 200
"""So many characters of a text decide where it stands in a list."""

_WORD = re.compile(r"\w+", re.UNICODE)
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_BREAK = re.compile("[^\\S\n]*[\t\n\r\x85\u2028\u2029]+\\s*")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def fold(text: str) -> str:
    """Lower case without diacritics, for search: ``"Müller Ærø"`` becomes ``"muller aero"``."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.translate(_EXTRA)).casefold()
    return "".join(c for c in plain if not unicodedata.combining(c))


def sort_key(text: str) -> str:
    """By what a text is sorted, as in an address book, whatever its case and diacritics: ``"Äpfel"`` and ``"apfel"`` stand at the same place.

    Only its beginning counts: an index of PostgreSQL takes no long texts.
    """
    return fold(text[:SORTED])[:SORTED]


def words(text: str) -> list[str]:
    """Folded word tokens of a text."""
    return _WORD.findall(fold(text))


def slug(text: str, most: int) -> str:
    """A text as part of an address, at most so many characters: ``"Über-Größe: 5 €"`` becomes ``"uber-grosse-5"``; empty when nothing is left."""
    return _NO_SLUG.sub("-", fold(text)).strip("-")[:most].strip("-")


def clean(text: str) -> str:
    """Text fit for storage: control characters (NUL among them) and lone surrogates removed, outer white space trimmed, NFC."""
    if text.isascii() and text.isprintable():
        return text.strip()
    return unicodedata.normalize("NFC", _CONTROL.sub("", text)).strip()


def one_line(text: str) -> str:
    """Text fit for storage where one line is meant: ``clean``, with every break or tab as one space. A name with a break in it would end the
    line of a calendar file or the head of a message."""
    if text.isascii() and text.isprintable():
        return text.strip()
    return _BREAK.sub(" ", clean(text))


def has_control(text: str) -> bool:
    """True when a text holds characters that ``clean`` removes: no stored text has them, and no database takes them."""
    return _CONTROL.search(text) is not None


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters, with an ellipsis where something was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def email_key(email: str) -> str:
    """The e-mail address as it is compared: trimmed and in lower case."""
    return email.strip().casefold()


@lru_cache(maxsize=50_000)
def phone_key(phone: str, region: str = "US") -> str:
    """The phone number in E.164 where it can be read (``+493012345``), otherwise its digits."""
    try:
        parsed = phonenumbers.parse(phone, None if phone.strip().startswith("+") else region)
        if phonenumbers.is_possible_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        pass
    return re.sub(r"\D", "", phone)


@lru_cache(maxsize=10_000)
def phone_zones(phone: str, region: str = "US") -> tuple[str, ...]:
    """Time zones in which a number's area lies; empty when nothing is known of it."""
    try:
        from phonenumbers import timezone as areas

        parsed = phonenumbers.parse(phone, None if phone.strip().startswith("+") else region)
        return tuple(zone for zone in areas.time_zones_for_number(parsed) if zone != areas.UNKNOWN_TIMEZONE)
    except phonenumbers.NumberParseException:
        return ()


def domain_key(url_or_email: str) -> str:
    """The bare host name of a web or e-mail address, without ``www.``; empty when there is none."""
    host = url_or_email.strip().casefold().rsplit("@", 1)[-1]
    host = re.sub(r"^[a-z][a-z0-9+.-]*://", "", host).split("/")[0].split("?")[0].split(":")[0]
    return host.removeprefix("www.") if "." in host else ""
