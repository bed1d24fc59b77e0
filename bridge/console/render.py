"""Draw a page: Jinja templates, the words and tones that they use, and the static files."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bridge.core.health.fate import note_now
from bridge.core.lifecycle import State
from bridge.core.log_text import harmless
from bridge.core.previews.native import NativeState
from bridge.core.previews.preview import PreviewState
from bridge.operations.every import OPERATIONS
from bridge.views.decisions import IN_WORDS, verdict_of
from bridge.web import browsers

if TYPE_CHECKING:
    from aiohttp import web
    from jinja2 import Environment

HERE = Path(__file__).parent

STATIC = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "idiomorph.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The static files, with their types."""

TONES: Mapping[str, str] = {
    State.WAITING: "off",
    State.HELD: "held",
    State.ASKED: "run",
    State.QUEUED: "run",
    State.RUNNING: "run",
    State.VERIFYING: "run",
    State.DONE: "ok",
    State.UNHEALTHY: "bad",
    State.FAILED: "bad",
    State.CANCELLED: "off",
    State.SUPERSEDED: "off",
    State.UNKNOWN: "held",
    PreviewState.MAKING: "run",
    PreviewState.UP: "ok",
    PreviewState.ENDING: "run",
    NativeState.BUILDING: "run",
}
"""The tone of each state of a deployment or a preview; "off" for all others."""

WORDS: Mapping[str, str] = {
    State.RUNNING: "building",
    PreviewState.MAKING: "being made",
    PreviewState.ENDING: "being removed",
    PreviewState.SKIPPED: "none",
}
"""Clearer words for some states."""

RECENT = 7 * 86_400.0
"""Seconds for which a time is shown as "3 h ago"; after that the date is."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page to draw: a template and its facts.

    Attributes:
        template: its file, without ".html".
        title: of the browser's tab.
        facts: the template's variables.
        live: whether it changes by itself, so the browser fetches it again after each change.
    """

    template: str
    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    live: bool = False


@dataclass(frozen=True, slots=True)
class Button:
    """A button that carries out an operation.

    Attributes:
        does: the operation; `fields`: its arguments.
        asks: what to read before it is done; "" if a click suffices, or the operation asks.
        tone: "main" for what a section is about, "danger" for what stops something.
    """

    says: str
    does: str
    fields: Mapping[str, str]
    asks: str = ""
    tone: str = ""


def draw(page: Page, frame: Mapping[str, Any], now: float) -> str:
    """Return a page as HTML.

    Args:
        frame: the variables of the layout: who is signed in, and the page's path.
        now: seconds since 1970, for relative times.
    """
    template = _environment().get_template(f"{page.template}.html")
    return template.render(page.facts, page=page, frame=frame, now=now)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(HERE / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "ago": ago,
        "clock": moment,
        "iso": iso,
        "lasted": lasted,
        "linked": linked,
        "note": lambda said, fate=None: note_now(said, fate).removeprefix(f"{said.state}: "),
        "part": partial(quote, safe=""),
        "reason": lambda decision: IN_WORDS[decision.reason],
        "ref": ref,
        "short": lambda commit: (commit or "")[:7],
        "verdict": lambda decision: verdict_of(decision)[1].lower(),
        "utc": clock,
        "tone": lambda state: TONES.get(str(state), "off"),
        "word": word,
    }
    environment.globals |= {"most_of": _most_of, "static": static_path}
    return environment


def _most_of(operation: str, argument: str) -> int | None:
    """Return how many characters an operation takes of an argument; None if it sets no limit."""
    return next(one.kind.most for one in OPERATIONS[operation].arguments if one.name == argument)


def _shown(value: Any) -> Any:
    """Return a value as it is drawn: text without control or invisible characters.

    What is already marked as HTML comes from a template, not from data.
    """
    if value is None:
        return ""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return "\n".join(harmless(line) for line in value.split("\n"))
    return value


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def ago(at: float | None, now: float) -> str:
    """Return how long ago something was, e.g. "4 min ago"; the date if that is long."""
    if at is None:
        return ""
    past = now - at
    if past < 0:
        return f"in {lasted(-past)}"
    if past >= RECENT:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    return "now" if past < 1 else f"{lasted(past)} ago"


def lasted(seconds: float | None) -> str:
    """Return a duration in its largest units, e.g. "41 s", "3 min", "2 h", "5 d"."""
    if seconds is None:
        return ""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def clock(at: float | None) -> str:
    """Return a time to the second, UTC."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def moment(at: float | None) -> str:
    """Return a time to the second as HTML; where scripts run, they add the local one."""
    from markupsafe import Markup

    if at is None:
        return ""
    return Markup('<time datetime="{}" data-utc>{}</time>').format(iso(at), clock(at))


def iso(at: float) -> str:
    """Return a time in the format of the `datetime` attribute."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def word(state: str) -> str:
    """Return the word for a state."""
    return WORDS.get(str(state), str(state))


def ref(name: str | None) -> str:
    """Return a ref without its prefix, e.g. "main", "v1.2.0"."""
    return re.sub("^refs/(heads/|tags/)?", "", name or "")


_ADDRESS = re.compile(r"https?://[^\s<>\"']{1,2000}").fullmatch


def linked(address: str | None) -> str:
    """Return an address if it is safe to link to (http or https); else ""."""
    return address if address and _ADDRESS(address) else ""


# ── static files ─────────────────────────────────────────────────────────────────────────────────


@cache
def static_file(name: str) -> bytes:
    """Return a static file; `name` is one of `STATIC`."""
    return (HERE / "static" / name).read_bytes()


@cache
def static_path(name: str) -> str:
    """Return a static file's path, with a hash of its content, so browsers may keep it for ever."""
    digest = hashlib.sha256(static_file(name)).hexdigest()[:12]
    return f"/console/static/{digest}/{name}"


# ── how a response is guarded ────────────────────────────────────────────────────────────────────

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def guard(response: "web.StreamResponse") -> "web.StreamResponse":
    """Add the guards of every page, and a policy that loads nothing from elsewhere."""
    response.headers["Content-Security-Policy"] = POLICY
    return browsers.guard(response)
