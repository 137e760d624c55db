"""Passwords: argon2id hashes, a check that takes equally long for people who don't exist, and what a password must be."""

from functools import lru_cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from crm_core.errors import Invalid

MIN_LENGTH = 10
MAX_LENGTH = 200
"""Longer than any pass phrase; hashing megabytes would be a way to keep the server busy."""

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

_hasher = PasswordHasher()
_at_once = BoundedSemaphore(4)
"""Each check takes 64 MiB on purpose; a crowd of strangers must not take all of the machine's."""


def hash_password(password: str) -> str:
    """The argon2id hash to store."""
    return _hasher.hash(password)


@lru_cache(maxsize=1)
def _nobody() -> str:
    """The hash that is checked when there is no such person, so that the answer takes as long as for a real one."""
    return _hasher.hash("nobody has this password")


def fits(password_hash: str | None, password: str) -> bool:
    """True when the password belongs to the hash. Costs the same with no hash at all, and then is never true."""
    try:
        with _at_once:
            _hasher.verify(password_hash or _nobody(), password[:MAX_LENGTH])
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None and len(password) <= MAX_LENGTH


def is_outdated(password_hash: str) -> bool:
    """True when the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


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
