"""The setup page: what is connected, what is missing, and a field or a button for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bridge.app.setup.services import Service, Tried, without_setup
from bridge.core.apps import App
from bridge.ports.checks import Finding, Level, summed
from bridge.ports.setup import Registration, SetupField
from bridge.settings import BY_SETUP, KeyPath, Settings

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent / "templates"

HEADINGS = {"backend": "Deploys to", "host": "Git hosts", "chat": "Chats"}


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the page shows.

    Attributes:
        origins: what each configured setting comes from.
        origin: the bridge's address as the browser calls it.
        state: of the registration that may begin on this page.
        org: the organisation that is to own what is registered; "" for the person's own account.
        tried: what each connected service says.
        refused: what is wrong with what was just sent, and the service that it is about.
        done: what was just done.
        typed: the form that was refused.
        apps: the known ones.
        twice: those that deploy twice.
        without_webhook: their repositories without a webhook of the bridge's, by host.
        findings: what a check of everything has found; None before one.
    """

    settings: Settings
    origins: Mapping[KeyPath, str]
    services: Mapping[str, Service]
    tried: Mapping[str, Tried]
    origin: str
    state: str
    org: str = ""
    refused: tuple[str, str] = ("", "")
    done: str = ""
    typed: Mapping[str, str] = field(default_factory=dict)
    apps: Sequence[App] = ()
    twice: Sequence[App] = ()
    without_webhook: Mapping[str, Sequence[str]] = field(default_factory=dict)
    findings: Sequence[Finding] | None = None

    @property
    def public_url(self) -> str:
        """The address that others are given."""
        return (self.settings.public_url or self.origin).rstrip("/")


View = dict[str, Any]
"""What the template draws of a thing, by the names it has there."""


def render(facts: Facts) -> str:
    """Return the page as HTML."""
    others = without_setup(facts.settings)
    groups = [
        (heading, _group(facts, kind, bool(others[kind])), others[kind])
        for kind, heading in HEADINGS.items()
    ]
    left = _left(facts)
    return (
        _environment()
        .get_template("setup.html")
        .render(
            groups=groups,
            address=View(
                value=facts.public_url,
                origin=_elsewhere(facts, ("public_url",)),
                is_set=facts.settings.public_url is not None,
                is_public=is_public(facts.public_url),
                is_secure=facts.public_url.startswith("https://"),
            ),
            access=_access(facts),
            refused=facts.refused[1] if not facts.refused[0] else "",
            done=facts.done,
            apps=[app.label for app in facts.apps],
            twice=[app.label for app in facts.twice],
            embedded=not facts.settings.backends_set(),
            left=left,
            ready=left == 0 and not facts.twice,
            check=None if facts.findings is None else _check(facts.findings),
        )
    )


def policy(facts: Facts) -> str:
    """Return the Content-Security-Policy: no script, and forms go to us and to registrations."""
    views = (_registration(facts, one, one.setup.register) for one in facts.services.values())
    places = sorted({"://".join(urlsplit(view["action"])[:2]) for view in views if view})
    rules = ("default-src 'none'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'")
    return "; ".join((*rules, " ".join(("form-action 'self'", *places))))


def style() -> str:
    """Return the style sheet."""
    return (HERE / "style.css").read_text()


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(HERE),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _group(facts: Facts, kind: str, others: bool) -> list[View]:
    """Return the services of a kind; while none is connected, the first one's form is open."""
    those = [service for service in facts.services.values() if service.kind == kind]
    none = not others and not any(one.is_connected(facts.settings) for one in those)
    return [_view(facts, one, first=none and one is those[0]) for one in those]


# ── services ─────────────────────────────────────────────────────────────────────────────────────


def _view(facts: Facts, service: Service, *, first: bool) -> View:
    connected = service.is_connected(facts.settings)
    tried = facts.tried.get(service.key, Tried())
    trouble = facts.refused[1] if facts.refused[0] == service.key else tried.trouble
    setup = service.setup
    tone, word = ("ok", "connected") if connected else ("off", "not connected")
    if connected and tried.trouble:
        tone, word = "bad", "does not work"
    link = (setup.link.text, setup.link.url(facts.public_url)) if setup.link else None
    registration = None if connected else _registration(facts, service, setup.register)
    paths = [path for path, origin in facts.origins.items() if path[0] == service.key]
    return View(
        key=service.key,
        title=service.title,
        gives=setup.gives,
        tone=tone,
        word=word,
        says=tried.says,
        trouble=trouble,
        fields=[_field(facts, service, one) for one in setup.fields],
        registration=registration,
        # why there is no registration, if there could be one
        hindrance="" if connected else service.hindrance(facts.origins),
        link=None if connected else link,
        then=(setup.register.then_button, tried.then) if setup.register and tried.then else None,
        choice=_choice(facts, service, tried) if connected else None,
        can_test=connected and setup.test is not None and not tried.trouble,
        can_forget=any(facts.origins[path] == BY_SETUP for path in paths),
        # the repositories for which it can make webhooks
        webhooks=facts.without_webhook.get(service.key, ())
        if connected and setup.makes_webhooks(service.section(facts.settings))
        else (),
        open=bool(trouble) or (first and registration is None),
    )


def _field(facts: Facts, service: Service, field: SetupField) -> View:
    path = (service.key, field.setting)
    value = getattr(service.section(facts.settings), field.setting)
    configured = path in facts.origins
    shown = "" if field.secret or value is None or not configured else str(value)
    if not field.secret and facts.refused[0] == service.key:
        shown = facts.typed.get(field.setting, shown)
    is_set = configured and bool(value)
    return View(field=field, value=shown, origin=_elsewhere(facts, path), is_set=is_set)


def _elsewhere(facts: Facts, path: KeyPath) -> str:
    """Return the variable or file that sets a setting; "" if it can be changed here."""
    origin = facts.origins.get(path, "")
    return "" if origin == BY_SETUP else origin


def _registration(facts: Facts, service: Service, register: Registration | None) -> View | None:
    if register is None or not is_public(facts.public_url) or service.hindrance(facts.origins):
        return None
    name = f"Bridge {urlsplit(facts.public_url).hostname or ''}"[:34].strip()
    return View(
        button=register.button,
        action=register.action(service.section(facts.settings), facts.org, facts.state),
        manifest=json.dumps(register.manifest(facts.public_url, name)),
        org=facts.org,
    )


def _choice(facts: Facts, service: Service, tried: Tried) -> View | None:
    choice = service.setup.choice
    if choice is None:
        return None
    return View(
        about=choice,
        value=str(getattr(service.section(facts.settings), choice.setting) or ""),
        choices=tried.choices,
        origin=_elsewhere(facts, (service.key, choice.setting)),
    )


# ── the bridge itself ────────────────────────────────────────────────────────────────────────────


def is_public(url: str) -> bool:
    """Return whether an address may lead here from elsewhere."""
    host = urlsplit(url).hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _access(facts: Facts) -> View | None:
    """Return the rights of people in chats once one hears them; None before.

    `own`: grants are given elsewhere, or are finer than this page.
    """
    from bridge.chats import CHATS

    used = facts.settings.chats_set()
    if not any(CHATS[chat].heard_by(given) for chat, given in used.items()):
        return None
    grants = facts.settings.access
    by_setup = facts.origins.get(("access",), BY_SETUP) == BY_SETUP
    return View(everyone=bool(grants), own=bool(grants) and not by_setup)


TONES = {Level.ERROR: "bad", Level.WARNING: "held", Level.OK: "ok"}
"""The worst level first."""


def _check(findings: Sequence[Finding]) -> View:
    by_level = {level: [one for one in findings if one.level is level] for level in TONES}
    worst = next((level for level, those in by_level.items() if those), Level.OK)
    return View(
        says=summed(findings),
        tone=TONES[worst],
        wrong=[*by_level[Level.ERROR], *by_level[Level.WARNING]],
        fine=by_level[Level.OK],
    )


def _left(facts: Facts) -> int:
    """Return how many of backend, Git host and chat are not connected."""
    kinds = {one.kind for one in facts.services.values() if one.is_connected(facts.settings)}
    kinds |= {kind for kind, titles in without_setup(facts.settings).items() if titles}
    return len(HEADINGS.keys() - kinds)
