"""Response headers of every page: what a browser may run, frame, send along and remember."""

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path

import streamlit

_INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_HTML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)

COMMON = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "x-robots-tag": "noindex, nofollow",
}


def source_hash(text: str) -> str:
    """The CSP source expression of one inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache(maxsize=1)
def app_policy() -> str:
    """The policy of the app itself; the hash of its inline script is taken from the installed page, so an upgrade can't break it."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = " ".join(source_hash(text) for text in _INLINE.findall(_HTML_COMMENT.sub("", page)))
    return _policy(
        default="'self'",
        script=f"'self' blob: {scripts}",
        style="'self' 'unsafe-inline'",
        img="'self' data: blob:",
        font="'self' data:",
        connect="'self' ws: wss:",
        worker="'self' blob:",
        ancestors="'self'",
    )


def page_policy(scripts: tuple[str, ...], styles: tuple[str, ...]) -> str:
    """The policy of a page of the door: nothing but its own inline script and style, its font and its icon."""
    return _policy(
        default="'none'",
        script=" ".join(map(source_hash, scripts)) or "'none'",
        style=" ".join(map(source_hash, styles)) or "'none'",
        img="'self'",
        font="'self'",
        connect="'self'",
        worker="'none'",
        ancestors="'none'",
    )


def framed_by(policy: str, hosts: tuple[str, ...]) -> str:
    """The policy of a page that other sites may show in a frame; without hosts nobody may."""
    sites = " ".join(f"https://{host}" for host in hosts)
    return policy.replace("frame-ancestors 'none'", f"frame-ancestors 'self' {sites}".strip()) if hosts else policy


def _policy(*, default: str, script: str, style: str, img: str, font: str, connect: str, worker: str, ancestors: str) -> str:
    return (
        f"default-src {default}; script-src {script}; style-src {style}; img-src {img}; font-src {font}; connect-src {connect}; "
        f"worker-src {worker}; frame-ancestors {ancestors}; object-src 'none'; base-uri 'self'; form-action 'self'"
    )
