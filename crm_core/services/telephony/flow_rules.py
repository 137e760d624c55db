"""Telephone menus, the pure part: what is wrong with a flow, and the next step of a call. Knows no database and no telephone.

A flow is {start, nodes: {id: node}}. A node has kind, title, prompt and, by kind: keys {digit: id} and otherwise (menu), open and closed (hours),
next (say, queue, article), skill and phone (queue), article and after (article). Before a flow is walked, ``spoken`` puts the words of its articles in:
``answer`` is what is read aloud, empty where the article is not published at that moment, and ``gone`` what callers hear then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crm_core.kit.numerals import written
from crm_core.vocabulary import CallEnd, NodeKind

TRIES = 3
"""Wrong keys or silences after which a menu gives up."""
KEYS = "1234567890*#"
MAX_NODES = 60
MAX_PROMPT = 1_000
MAX_STEPS = 60
ENDS = {
    NodeKind.QUEUE: CallEnd.QUEUED,
    NodeKind.CALLBACK: CallEnd.CALLBACK,
    NodeKind.VOICEMAIL: CallEnd.VOICEMAIL,
    NodeKind.HANGUP: CallEnd.INFORMED,
}
LISTENS = (NodeKind.MENU, NodeKind.ARTICLE)
"""Steps at which a caller may press keys."""
AGAIN, AGENT = "1", "2"
"""Keys after an article: hear it again, speak to somebody."""
UNAVAILABLE = {
    "en": "I am sorry, this answer is not available at the moment.",
    "de": "Diese Auskunft ist im Moment leider nicht verfügbar.",
    "fr": "Désolé, cette réponse n’est pas disponible pour le moment.",
    "es": "Lo sentimos, esta respuesta no está disponible en este momento.",
    "it": "Ci dispiace, questa risposta al momento non è disponibile.",
    "pt": "Lamentamos, esta resposta não está disponível de momento.",
    "nl": "Dit antwoord is op dit moment helaas niet beschikbaar.",
}
"""What callers hear instead of an article that is gone, by the language of the menu."""
AFTER = {
    "en": "To hear it again, press 1. To speak to somebody, press 2. If this helped, just hang up.",
    "de": "Um es noch einmal zu hören, drücken Sie die 1. Um mit jemandem zu sprechen, die 2. Wenn Ihnen das geholfen hat, legen Sie einfach auf.",
    "fr": "Pour réécouter, tapez 1. Pour parler à quelqu’un, tapez 2. Si cela vous a aidé, raccrochez simplement.",
    "es": "Para escucharlo otra vez, pulse 1. Para hablar con alguien, pulse 2. Si le ha ayudado, simplemente cuelgue.",
    "it": "Per riascoltare, prema 1. Per parlare con qualcuno, prema 2. Se le è stato utile, può riagganciare.",
    "pt": "Para ouvir de novo, prima 1. Para falar com alguém, prima 2. Se isto ajudou, basta desligar.",
    "nl": "Toets 1 om het nog eens te horen. Toets 2 om iemand te spreken. Heeft dit geholpen, dan kunt u ophangen.",
}
"""What callers hear after an article unless the step says otherwise, by the language of the menu."""
Flow = Mapping[str, Any]
Node = Mapping[str, Any]


@dataclass(frozen=True)
class Turn:
    """What a caller hears until something is expected of them: the prompts in order, where the call stands, how it ends (if it does)."""

    said: tuple[str, ...]
    passed: tuple[str, ...]
    node: str
    tries: int
    waits: bool
    end: CallEnd | None = None


def node_of(flow: Flow, node_id: str) -> Node:
    """A node; a bare hang-up for one that is not there."""
    return (flow.get("nodes") or {}).get(node_id) or {"kind": NodeKind.HANGUP.value, "title": "", "prompt": ""}


def kind_of(node: Node) -> NodeKind:
    """What a node does."""
    return NodeKind(str(node.get("kind"))) if node.get("kind") in NodeKind.options() else NodeKind.HANGUP


def exits(node: Node) -> dict[str, str]:
    """Where a node leads: in words → id; empty ids are exits that nobody set."""
    kind = kind_of(node)
    if kind is NodeKind.MENU:
        keys = {
            f"Key {key}": str(target) for key, target in sorted((node.get("keys") or {}).items(), key=lambda one: KEYS.find(one[0]))
        }
        return keys | ({"No valid key": str(node["otherwise"])} if node.get("otherwise") else {})
    if kind is NodeKind.HOURS:
        return {"Open": str(node.get("open") or ""), "Closed": str(node.get("closed") or "")}
    if kind is NodeKind.ARTICLE:
        return {f"Key {AGENT}": str(node["next"])} if node.get("next") else {}
    return {"Then": str(node["next"])} if kind in (NodeKind.SAY, NodeKind.QUEUE) and node.get("next") else {}


def articles_in(flow: Flow) -> list[int]:
    """The articles that a flow reads aloud, each once."""
    found = (article_of(node) for node in (flow.get("nodes") or {}).values() if kind_of(node) is NodeKind.ARTICLE)
    return list(dict.fromkeys(one for one in found if one))


def article_of(node: Node) -> int:
    """The number of a step's article; 0 for none."""
    given = node.get("article")
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 < given < 2**31 else 0


def spoken(flow: Flow, words: Mapping[int, str], language: str) -> dict[str, Any]:
    """The flow with the words of its articles put in: ``words`` has those that are published now."""
    nodes = {}
    for key, node in (flow.get("nodes") or {}).items():
        if kind_of(node) is NodeKind.ARTICLE:
            answer, after = words.get(article_of(node), ""), node.get("after") or after_of(language)
            node = {**node, "answer": answer, "gone": gone_of(language), "after": after}
        nodes[key] = node
    return {**flow, "nodes": nodes}


def after_of(language: str) -> str:
    """What callers hear after an article in a language, English where none of ours fits."""
    return AFTER.get(language[:2].lower(), AFTER["en"])


def gone_of(language: str) -> str:
    """What callers hear instead of an article that is gone."""
    return UNAVAILABLE.get(language[:2].lower(), UNAVAILABLE["en"])


def says(node: Node) -> tuple[str, ...]:
    """What callers hear at a step."""
    if kind_of(node) is not NodeKind.ARTICLE:
        return (str(node["prompt"]),) if node.get("prompt") else ()
    if not node.get("answer"):
        return (str(node.get("gone") or UNAVAILABLE["en"]),)
    return tuple(str(node[part]) for part in ("prompt", "answer", "after") if node.get(part))


@dataclass(frozen=True)
class Place:
    """A step where an outline of a flow names it: by which way one gets there, how deep, and whether it was named before."""

    node: str
    way: str
    depth: int
    again: bool = False


def outline(flow: Flow, *, deepest: int = 12) -> list[Place]:
    """Every step below the one that leads to it, in the order of reading; those that nothing leads to at the end."""
    nodes, found, seen = flow.get("nodes") or {}, list[Place](), set[str]()

    def below(key: str, way: str, depth: int) -> None:
        if key not in nodes:
            return
        found.append(Place(key, way, depth, key in seen))
        if key not in seen and depth < deepest:
            seen.add(key)
            for words, target in exits(nodes[key]).items():
                below(target, words, depth + 1)

    below(str(flow.get("start") or ""), "", 0)
    return found + [Place(key, "Not connected", 0) for key in nodes if key not in seen]


def begin(flow: Flow, *, is_open: bool) -> Turn:
    """The call begins."""
    return _walk(flow, str(flow.get("start") or ""), is_open=is_open, tries=0)


def arrive(flow: Flow, node_id: str, *, is_open: bool) -> Turn:
    """A call comes to a step, whichever way it took."""
    return _walk(flow, node_id, is_open=is_open, tries=0)


def press(flow: Flow, node_id: str, tries: int, digits: str, *, is_open: bool) -> Turn:
    """A key was pressed at a menu (or none in time: ``digits`` empty). Wrong ones repeat the menu, then lead out of it. After an article, silence
    is no mistake: who says nothing three times has heard what they needed."""
    node = node_of(flow, node_id)
    if kind_of(node) is NodeKind.ARTICLE:
        return _after_article(flow, node_id, tries, digits, is_open=is_open)
    target = (node.get("keys") or {}).get(digits) if len(digits) == 1 and digits in KEYS else None
    if target:
        return _walk(flow, str(target), is_open=is_open, tries=0)
    if tries + 1 < TRIES:
        again = "Please choose one of the keys." if digits else "I did not hear a key."
        return Turn((again, str(node.get("prompt") or "")), (), node_id, tries + 1, True)
    if node.get("otherwise"):
        return _walk(flow, str(node["otherwise"]), is_open=is_open, tries=0)
    return Turn(("Goodbye.",), (), node_id, tries + 1, False, CallEnd.ABANDONED)


def _after_article(flow: Flow, node_id: str, tries: int, digits: str, *, is_open: bool) -> Turn:
    node = node_of(flow, node_id)
    if digits == AGAIN:
        return _walk(flow, node_id, is_open=is_open, tries=0)
    if digits == AGENT and node.get("next"):
        return _walk(flow, str(node["next"]), is_open=is_open, tries=0)
    if tries + 1 < TRIES:
        return Turn((str(node.get("after") or AFTER["en"]),), (), node_id, tries + 1, True)
    return Turn(("Goodbye.",), (), node_id, tries + 1, False, CallEnd.INFORMED)


def unanswered(flow: Flow, node_id: str, *, is_open: bool) -> Turn:
    """Nobody took the call that was put through."""
    target = node_of(flow, node_id).get("next")
    if target:
        return _walk(flow, str(target), is_open=is_open, tries=0)
    return Turn(("Nobody can take your call right now. Goodbye.",), (), node_id, 0, False, CallEnd.QUEUED)


def _walk(flow: Flow, node_id: str, *, is_open: bool, tries: int) -> Turn:
    said: list[str] = []
    passed: list[str] = []
    for _ in range(MAX_STEPS):
        node = node_of(flow, node_id)
        kind = kind_of(node)
        passed.append(node_id)
        gone = kind is NodeKind.ARTICLE and not node.get("answer")
        said += (words for words in says(node) if not gone or words not in said)  # being sorry once is enough
        if kind in LISTENS and not gone:
            return Turn(tuple(said), tuple(passed), node_id, tries, True)
        if kind is NodeKind.HOURS:
            node_id = str(node.get("open" if is_open else "closed") or "")
        elif kind in (NodeKind.SAY, NodeKind.ARTICLE) and node.get("next"):
            node_id = str(node["next"])
        else:
            return Turn(tuple(said), tuple(passed), node_id, tries, False, ENDS.get(kind, CallEnd.INFORMED))
    return Turn((*said, "Goodbye."), tuple(passed), node_id, tries, False, CallEnd.ABANDONED)


# --- what is wrong -----------------------------------------------------------------------------------------------------------


def problems(flow: Flow) -> list[str]:
    """Everything that keeps a flow from being put to use, in words."""
    nodes: Mapping[str, Node] = flow.get("nodes") or {}
    if not nodes:
        return ["The menu has no steps yet."]
    if len(nodes) > MAX_NODES:
        return [f"A menu with more than {MAX_NODES} steps is walked by nobody."]
    if flow.get("start") not in nodes:
        return ["Say with which step a call begins."]
    found = [words for key, node in nodes.items() for words in _node_problems(nodes, key, node)]
    seen = reachable(flow)
    found += [f"No caller ever gets to “{_title(nodes, key)}”." for key in nodes if key not in seen]
    ending = _that_end(nodes)
    found += [
        f"From “{_title(nodes, key)}” a caller goes round in circles: there is no way out."
        for key in nodes
        if key in seen and key not in ending
    ]
    return found


def _node_problems(nodes: Mapping[str, Node], key: str, node: Node) -> Iterator[str]:
    kind, title = kind_of(node), _title(nodes, key)
    if kind is NodeKind.ARTICLE:
        yield from _article_problems(node, title)
    elif kind is not NodeKind.HOURS and kind is not NodeKind.HANGUP and not str(node.get("prompt") or "").strip():
        yield f"“{title}” says nothing."
    if len(str(node.get("prompt") or "")) > MAX_PROMPT:
        yield f"“{title}” says more than {written(MAX_PROMPT)} characters: nobody listens that long."
    if kind is NodeKind.MENU and not node.get("keys"):
        yield f"“{title}” has no keys."
    if any(pressed not in KEYS or len(pressed) != 1 for pressed in node.get("keys") or {}):
        yield f"“{title}” has a key that no telephone has."
    for words, target in exits(node).items():
        if target not in nodes:
            yield f"“{title}”, {words.lower()}: leads nowhere."


def _article_problems(node: Node, title: str) -> Iterator[str]:
    if not article_of(node):
        yield f"“{title}” reads no article yet. Choose one."
    elif not node.get("answer"):
        yield f"“{title}” reads an article that is not published (any more): callers hear that it is not available, and go to whoever key {AGENT} leads to."
    if not node.get("next"):
        yield f"“{title}” leads to nobody: say where key {AGENT} leads."


def _title(nodes: Mapping[str, Node], key: str) -> str:
    return str(nodes[key].get("title") or key)


def reachable(flow: Flow) -> set[str]:
    """The nodes that a caller can get to."""
    nodes, seen, waiting = flow.get("nodes") or {}, set(), [str(flow.get("start") or "")]
    while waiting:
        key = waiting.pop()
        if key in nodes and key not in seen:
            seen.add(key)
            waiting += exits(nodes[key]).values()
    return seen


def _that_end(nodes: Mapping[str, Node]) -> set[str]:
    """The nodes from which some way leads to an end that is not the mere giving up of a menu. An article that is gone only leads on, so it is none."""
    ending = {
        key
        for key, node in nodes.items()
        if kind_of(node) in ENDS or (kind_of(node) in (NodeKind.SAY, NodeKind.ARTICLE) and not node.get("next"))
    }
    while more := {key for key, node in nodes.items() if key not in ending and ending & set(exits(node).values())}:
        ending |= more
    return ending
