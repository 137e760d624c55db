"""What is shown in place of a value that somebody may not know: nothing, or a trace that tells two people apart and is of no other use."""

from crm_core.vocabulary import FieldKind

MAX_WORDS = 3
"""A text of many words would be told by their beginnings."""


class Veil(str):
    """Text in place of a value, never the value itself: no link, no number, no day can be made of it."""

    __slots__ = ()


MASK = Veil("•••")

KINDS = (FieldKind.TEXT, FieldKind.EMAIL, FieldKind.PHONE)
"""Kinds of fields that leave a trace; of amounts, days and long texts there is none that would not tell too much."""


def trace(kind: FieldKind, value: object) -> Veil:
    """``m…@example.org``, ``+49 … 12``, ``J… D…``; ``•••`` for all other kinds and for values too short to hide anything. As long for a long
    value as for a short one."""
    text = str(value).strip()
    if kind is FieldKind.EMAIL:
        local, at, domain = text.rpartition("@")
        return Veil(f"{local[:1]}…@{domain}") if at and local else MASK
    if kind is FieldKind.PHONE:
        return _number(text)
    if kind is FieldKind.TEXT:
        words = [word for word in text.split() if len(word) > 2][:MAX_WORDS]
        return Veil(" ".join(f"{word[0]}…" for word in words)) if words else MASK
    return MASK


def _number(text: str) -> Veil:
    digits = "".join(sign for sign in text if sign.isdigit())
    if len(digits) < 7:
        return MASK
    country = text.split()[0] if text.startswith("+") and " " in text else text[:3] if text.startswith("+") else ""
    return Veil(f"{country[:4]} … {digits[-2:]}".strip())
