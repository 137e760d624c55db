"""How a person is called and reached, as it stands in texts: found in a statement, taken out in Python. Pure."""

import json
import re
from collections.abc import Iterable
from email import message_from_bytes
from functools import cached_property
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import phonenumbers

from crm_core.kit.text import phone_key

GONE = "[erased]"
_BETWEEN = r"[\s\-/().]*"
_LARGEST = 200 << 20
"""Bytes of an unpacked file that are looked through."""


class Words:
    """Names, addresses and numbers of one person."""

    def __init__(self, names: Iterable[str], emails: Iterable[str], phones: Iterable[str], region: str = "US") -> None:
        self.names, self.emails, self.phones, self.region = tuple(names), tuple(emails), tuple(phones), region

    def __bool__(self) -> bool:
        return bool(self.names or self.emails or self.phones)

    @cached_property
    def likes(self) -> list[str]:
        """LIKE patterns with ``\\`` as the sign that frees others, of which one fits every text that may hold a word: in any case that people write, and as
        SQLite's JSON writes it."""
        apart = {"%".join(self._digits(phone)[-7:]) for phone in self.phones if len(self._digits(phone)) >= 6}
        return self.spelled + [f"%{one}%" for one in sorted(apart)]

    @cached_property
    def spelled(self) -> list[str]:
        """Those of names, addresses and numbers as they are written here: what fits one of them holds a word, as far as no other word begins or ends with it."""
        plain = {
            spelling
            for one in self._spellings()
            for spelling in ((one,) if one.isascii() else (one, one.lower(), one.upper(), one.title()))
        }
        whole = {form for one in plain for form in (one, json.dumps(one)[1:-1])}
        return [f"%{_freed(one)}%" for one in sorted(whole)]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = [rf"(?<!\w){_flexible(one)}(?!\w)" for one in sorted(self._names(), key=len, reverse=True)]
        parts += [rf"(?<![\w.+-]){re.escape(one).replace('@', '(?:@|%40)')}(?!\w)" for one in self.emails]
        parts += [
            rf"(?<!\d)(?:(?:\+|00)\d{{1,3}}{_BETWEEN})?(?:\(?0\)?{_BETWEEN})?{_BETWEEN.join(digits)}(?!\d)"
            for digits in sorted({self._digits(phone) for phone in self.phones}, key=len, reverse=True)
            if len(digits) >= 6
        ]
        return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)

    @cached_property
    def _reached(self) -> re.Pattern[str]:
        return Words((), self.emails, self.phones, self.region)._pattern

    def _names(self) -> set[str]:
        turned = {f"{last}, {first}" for first, _, last in (name.rpartition(" ") for name in self.names) if first}
        return {*self.names, *turned}

    def _spellings(self) -> set[str]:
        escaped = {one.replace("@", "%40") for one in self.emails}
        return {*self._names(), *self.emails, *escaped, *self.phones}

    def _digits(self, phone: str) -> str:
        """The digits of a number that everybody writes, without its country and the zero before it."""
        key = phone_key(phone, self.region)
        try:
            return str(phonenumbers.parse(key, None).national_number)
        except phonenumbers.NumberParseException:
            return "".join(sign for sign in key if sign.isdigit()).lstrip("0")

    def within(self, text: str) -> bool:
        return self._pattern.search(text) is not None

    def reached_within(self, value: Any) -> bool:
        """Whether an address or a number stands in it, which makes a message one about them; a name alone may be somebody else's."""
        return (
            self._reached.search(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
            is not None
        )

    def out_of(self, value: Any) -> Any:
        """The value without the words; the very value where none stand in it."""
        if isinstance(value, str):
            return self._pattern.sub(GONE, value)
        if isinstance(value, list):
            return [self.out_of(one) for one in value]
        if isinstance(value, dict):
            return {self.out_of(key): self.out_of(one) for key, one in value.items()}
        return value

    def inside(self, content: bytes) -> bool:
        """Whether a file holds a word: a text, a message with its parts, a workbook."""
        if is_zipfile(BytesIO(content)):
            return self._inside_zip(content)
        texts = [
            content.decode("utf-8", "replace"),
            content.decode("utf-16", "replace") if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "",
        ]
        if b"\ncontent-transfer-encoding" in content[:200_000].lower() or b"subject: =?" in content[:200_000].lower():
            message = message_from_bytes(content)
            texts += [
                part.decode("utf-8", "replace") for one in message.walk() if isinstance(part := one.get_payload(decode=True), bytes)
            ]
        return any(self.within(text) for text in texts)

    def _inside_zip(self, content: bytes) -> bool:
        try:
            with ZipFile(BytesIO(content)) as packed:
                if sum(item.file_size for item in packed.infolist()) > _LARGEST:
                    return False
                return any(self.within(packed.read(item).decode("utf-8", "replace")) for item in packed.infolist())
        except (BadZipFile, OSError, RuntimeError):
            return False


def _flexible(name: str) -> str:
    return r"\s+".join(re.escape(part) for part in name.split())


def _freed(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
