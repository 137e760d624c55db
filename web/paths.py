"""Which paths a stranger may open, and where a person may be sent afterwards."""

from urllib.parse import urlsplit

PUBLIC = frozenset(
    {
        "/signin",
        "/signin/sso",
        "/signin/sso/callback",
        "/signout",
        "/auth/logout",
        "/welcome",
        "/welcome/own",
        "/welcome/demo",
        "/welcome/demo/status",
        "/demo",
        "/help",
        "/healthz",
        "/metrics",  # checks its own token
        "/favicon.png",
        "/favicon.ico",
        "/robots.txt",
        "/_stcore/health",
        "/_stcore/host-config",
    }
)
"""Exact paths: ``startswith("/lead")`` would open ``/leads`` as well."""

PUBLIC_BELOW = (
    *("/static/", "/app/static/"),  # files that carry no data
    *("/invite/", "/reset/", "/c/"),  # one-time links
    *(
        "/t/",
        "/o/",
        "/u/",
        "/p/",
        "/s/",
        "/r/",
        "/v/",
    ),  # signed links of campaign messages, of shared pages, of reports and of own sites
    *("/f/", "/capture/", "/mail/in/"),  # public forms, and what is sent with a key
    *("/api/", "/hooks/shop/"),  # programs, which bring a key or a signature
    "/ical/",  # a secret address
    *("/book/", "/b/"),  # pages on which a meeting is booked, and the signed links of booked ones
    "/help/",  # the help centre, where it is switched on
    *("/q/", "/voice/"),  # signed links of surveys; calls, with the signature of the telephone provider
)
"""Folders that a stranger may open."""


def is_public(path: str) -> bool:
    """True for what works without a session."""
    return path in PUBLIC or path.startswith(PUBLIC_BELOW)


def is_odd(path: str) -> bool:
    """True for paths that no link of ours has: they exist to slip past a comparison like the one above."""
    return (
        not path.startswith("/")
        or "//" in path
        or "\\" in path
        or "/../" in f"{path}/"
        or "/./" in f"{path}/"
        or any(c < " " for c in path)
    )


def safe_next(target: str | None) -> str:
    """The page to go on to after sign-in: a path of this site, otherwise the front page (never another site)."""
    if not target or not target.startswith("/") or len(target) > 2_000:
        return "/"
    if target.startswith("//") or "\\" in target or any(ord(c) < 32 or ord(c) == 127 for c in target):
        return "/"
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or is_odd(parts.path) or is_public(parts.path):
        return "/"
    return target
