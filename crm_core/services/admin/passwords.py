"""Passwords: argon2id hashes, a check that takes equally long for people who don't exist, and what a password must be."""

from crm_core.errors import Invalid
from crm_core.kit.hashing import MAX_LENGTH, fits, hash_password, is_outdated

__all__ = ["MAX_LENGTH", "MIN_LENGTH", "fits", "hash_password", "is_outdated", "require_strong"]

MIN_LENGTH = 10

_COMMON = frozenset(
    [
        "1234567890",
        "12345678910",
        "0123456789",
        "1q2w3e4r5t",
        "1qaz2wsx3edc",
        "qwertyuiop",
        "asdfghjkl",
        "password12",
        "password123",
        "password1234",
        "passwordpassword",
        "iloveyou123",
        "letmein123",
        "welcome123",
        "welcome1234",
        "administrator",
        "admin12345",
        "adminadmin",
        "changeme123",
        "changemenow",
        "rapport123",
        "rapportrapport",
    ]
)


def require_strong(password: str, *, email: str = "", name: str = "", field: str = "password") -> None:
    """Raise Invalid with a sentence unless the password is long and not the first thing a stranger would try."""
    lowered = password.casefold()
    own = {part for part in (email.casefold(), email.casefold().split("@")[0], name.casefold()) if part}
    if len(password) < MIN_LENGTH:
        raise Invalid(fields={field: f"Use at least {MIN_LENGTH} characters; a few words in a row are easy to remember."})
    if len(password) > MAX_LENGTH:
        raise Invalid(fields={field: f"Use at most {MAX_LENGTH} characters."})
    if lowered in _COMMON or len(set(lowered)) < 4:
        raise Invalid(fields={field: "This password is among the first that a stranger would try. Choose another one."})
    if lowered in own or lowered.strip("0123456789!?. ") in own:
        raise Invalid(fields={field: "A password made of your name or e-mail address is easy to guess. Choose another one."})
