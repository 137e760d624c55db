"""``/v/<key>.js`` is the snippet for the workspace's own site, ``/v/<key>.gif`` the picture by which it tells of a visit. No account."""

import time
from collections import OrderedDict
from threading import Lock

from starlette.requests import Request
from starlette.responses import Response

from crm_core.db import read_session, write_session
from crm_core.errors import CrmError
from crm_core.services.marketing import visits
from web.cookies import address_of
from web.tracking import PIXEL, machine

MOST, SECONDS, SOURCES = 60, 600, 10_000
"""So many visits from one network address in so many seconds are looked at; more of them are a flood."""
_seen: OrderedDict[str, tuple[float, int]] = OrderedDict()
_lock = Lock()
_OPEN = {"cross-origin-resource-policy": "cross-origin"}

SCRIPT = """(function () {
  var me = document.currentScript, base = me.src.replace(/\\.js([?#].*)?$/, ""), home = new URL(me.src).origin;
  var name = "rapport_visitor", flag = "rapport_consent";
  function id() {
    var given = new URLSearchParams(location.search).get("rapport_v") || localStorage.getItem(name) || "";
    if (!/^[0-9a-f]{32}$/.test(given)) {
      given = Array.from(crypto.getRandomValues(new Uint8Array(16)), function (n) { return n.toString(16).padStart(2, "0"); }).join("");
    }
    localStorage.setItem(name, given);
    return given;
  }
  function link(node, key, who) {
    try {
      var to = new URL(node[key]);
      if (to.origin === home && to.pathname.indexOf("/f/") >= 0 && !to.searchParams.has("rapport_v")) {
        to.searchParams.set("rapport_v", who);
        node[key] = to.toString();
      }
    } catch (ignored) {}
  }
  function tell() {
    try {
      var who = id();
      new Image().src = base + ".gif?v=" + who + "&u=" + encodeURIComponent(location.href) + "&r=" + encodeURIComponent(document.referrer);
      document.querySelectorAll("a[href]").forEach(function (node) { link(node, "href", who); });
      document.querySelectorAll("iframe[src]").forEach(function (node) { link(node, "src", who); });
    } catch (ignored) {}
  }
  window.rapport = function (word) {
    try {
      if (word === "consent") { localStorage.setItem(flag, "yes"); tell(); }
      if (word === "forget") { localStorage.removeItem(flag); localStorage.removeItem(name); }
    } catch (ignored) {}
  };
  var agreed = me.dataset.consent === "yes";
  try { agreed = agreed || localStorage.getItem(flag) === "yes"; } catch (ignored) {}
  if (agreed) { if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", tell); } else { tell(); } }
})();
"""


def show(request: Request) -> Response:
    """The script or the picture. A wrong key gets neither, and nothing that a visitor would see."""
    name, _, kind = str(request.path_params["file"])[:80].rpartition(".")
    if kind == "js":
        with read_session() as session:
            visits.check(session, name)
        return Response(SCRIPT, media_type="text/javascript", headers=_OPEN | {"cache-control": "public, max-age=3600"})
    if kind == "gif" and not _flooding(address_of(request)):
        _note(request, name)
    return Response(PIXEL, media_type="image/gif", headers=_OPEN | {"cache-control": "no-store"})


def _note(request: Request, name: str) -> None:
    asked = request.query_params
    if asked.get("v", "") and not machine(request):
        try:
            with write_session() as session:
                visits.note(session, name, asked["v"], url=asked.get("u", "")[:2_000], referrer=asked.get("r", "")[:2_000])
        except (CrmError, ValueError):  # a wrong key, or an address that is none: the site's visitor must never notice
            return


def _flooding(address: str) -> bool:
    now = time.monotonic()
    with _lock:
        since, count = _seen.pop(address, (now, 0))
        since, count = (now, 0) if now - since > SECONDS else (since, count)
        _seen[address] = (since, count + 1)
        while len(_seen) > SOURCES:
            _seen.popitem(last=False)
    return count >= MOST
