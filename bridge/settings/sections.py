"""The sections of `bridge.yaml`, but for those of hosts, backends and chats, which own theirs."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from bridge.core.access import EVERYONE, Right
from bridge.core.apps import Prereleases, Trigger
from bridge.core.decision import SKIP_DIRECTIVES
from bridge.core.misfits import shortened
from bridge.core.rules import BadRange, Range
from bridge.ports.settings import (
    LAST_PORT,
    NONE,
    Address,
    ListeningAddress,
    Secret,
    Section,
    as_list,
    is_none,
)

# ── Values that are given as YAML, and what is wrong with it ────────────────────────────────────


class GivenTwice(ValueError):
    """A key stands twice in one section; YAML's reader would keep the last without a word."""


class _Loader(yaml.SafeLoader):
    """YAML's safe reader, which refuses a section that has a key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a section; raise GivenTwice if a key stands in it twice."""
        found: dict[str, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            line = key.start_mark.line + 1
            first = found.get(str(key.value))
            if isinstance(key, yaml.ScalarNode) and first is not None:
                where = f"line {line}" if first == line else f"lines {first} and {line}"
                words = f"{shortened(key.value)} is given twice, in {where}; keep one of them"
                raise GivenTwice(words)
            found[str(key.value)] = line
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """Return what YAML holds; raise yaml.YAMLError or GivenTwice."""
    return yaml.load(text, _Loader)  # noqa: S506 - a safe one


def as_yaml(value: object, nothing: Callable[[], object] = tuple) -> object:
    """Return a text as YAML, as it comes from the environment.

    Args:
        nothing: makes what the text is where it holds nothing.
    """
    if not isinstance(value, str):
        return value
    if is_none(value):
        return nothing()
    if not value.strip():
        raise ValueError(f"it is empty; if that is meant, write {NONE}")
    try:
        return read_yaml(value) or nothing()
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML{line_of(error)}: {yaml_trouble(error)}") from None


def line_of(error: Exception) -> str:
    """Return where YAML is broken, as far as the error says."""
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


_TROUBLES = {
    "'\\t'": "a tab stands where spaces must: YAML is indented by spaces",
    "mapping values are not allowed": "a colon too many: put a value that has `: ` in it in quotes,"
    " and each setting on a line of its own",
    "could not find expected ':'": "a setting has no colon, or a quote or bracket stays open",
    "while scanning a quoted": "a quote stays open",
    "expected ',' or ']'": "a list's bracket stays open, or a comma is missing in it",
    "expected ',' or '}'": "a curly bracket stays open, or a comma is missing in it",
    "expected the node content": "a bracket stays open, or a value is missing",
    "expected <block end>": "lines that belong together are not indented alike",
    "undefined alias": "a value begins with `*`: put it in quotes",
    "could not determine a constructor": "a value begins with `!`: put it in quotes",
    "that cannot start any token": "a value begins with a character that means something in YAML"
    " (@, `, %): put it in quotes",
    "unknown escape character": "a backslash stands between double quotes: use single ones",
    "expected a single document": "a line of `---` begins a second document; there may be one",
    "special characters are not allowed": "a control character is in it; write it anew",
}
"""What YAML's reader complains of, and what people have mostly done; never with what it quotes,
which may be a secret."""


def yaml_trouble(error: Exception) -> str:
    """Return why it is no YAML, and the remedy, without any of its text."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8; save it as that"
    parts = (getattr(error, name, "") for name in ("context", "problem", "reason"))
    said = " ".join(str(part) for part in parts)
    found = (words for sign, words in _TROUBLES.items() if sign in said)
    return next(found, "look there for a missing quote, bracket or colon")


# ── Who may do what by chat ─────────────────────────────────────────────────────────────────────

_WHO = re.compile(r"[UWS][A-Z0-9]{2,}|@[\w-]+(\.[\w-]+)+")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,}")


class Grant(Section):
    """What some people may do by chat; what no grant allows is refused."""

    who: tuple[str, ...] = Field(
        description="user ids (U…), user groups (S…), email domains (@example.com), or everyone"
    )
    may: tuple[Right, ...] = Field(description="view, deploy, cancel, configure")
    apps: tuple[str, ...] = Field(("*",), description="labels or globs over them; * is every app")
    channels: tuple[str, ...] = Field((), description="only from these (C…); else from everywhere")

    @field_validator("who")
    @classmethod
    def _somebody(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if one != EVERYONE and not _WHO.fullmatch(one):
                raise ValueError(
                    f"{one!r} is nobody: write a user id (U…), a user group's id (S…),"
                    " an email domain (@example.com) or everyone"
                )
        return value

    @field_validator("channels")
    @classmethod
    def _by_id(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not _CHANNEL.fullmatch(one):
                raise ValueError(f"{one!r} is no channel's id, which looks like C024BE91L")
        return value


# ── The embedded backend ──────────────────────────────────────────────────────────────────────────


class Embedded(Section):
    """The embedded backend, used where no Dokploy is set."""

    host: ListeningAddress = Field(
        "127.0.0.1", description="address of its API and of the sites it serves"
    )
    port: int = Field(8090, ge=0, le=LAST_PORT, description="port of its API; 0 takes a free one")
    sites_port: int | None = Field(
        None, ge=0, le=LAST_PORT, description="port of the sites; without it the one after `port`"
    )
    sites_url: Address | None = Field(
        None,
        description="where people reach the sites, e.g. https://sites.example.com; else links to"
        " them are shown on this machine only",
    )
    builds_concurrency: int = Field(2, ge=1, description="builds at a time")
    build_timeout: float = Field(1800.0, gt=0, description="seconds a build may take")
    build_memory: int = Field(
        8192, ge=256, description="MiB for any one program of a build; Docker has its own limits"
    )

    @property
    def port_of_sites(self) -> int:
        """The port of the sites; 0 takes a free one."""
        if self.sites_port is not None:
            return self.sites_port
        return self.port + 1 if self.port else 0

    @model_validator(mode="after")
    def _two_ports(self) -> Self:
        if self.port and self.port == self.sites_port:
            raise ValueError(
                f"port and sites_port are both {self.port}: the sites need a port of their own, so"
                " that their scripts can't reach the page that asks for the API key"
            )
        if self.port == LAST_PORT and self.sites_port is None:
            raise ValueError(
                f"port is {LAST_PORT}, and the sites get the next one, which is none: choose"
                " another with BRIDGE_EMBEDDED_PORT, or set BRIDGE_EMBEDDED_SITES_PORT"
            )
        return self


# ── What a push's journey waits for and how often it looks: deploying, showing, catching up ─────


class Journey(Section):
    """How often to look and how long to wait, in seconds."""

    catalog_every: float = Field(
        60.0,
        gt=0,
        description="between two looks at the list of apps; a quarter of them is read each minute",
    )
    catalog_eager: float = Field(
        3.0,
        ge=0,
        description="at least, between readings that pushes of unknown repositories cause; those "
        "of one that was looked for three times wait up to a minute",
    )
    push_window: float = Field(600.0, ge=0, description="the same push by two hooks deploys once")
    changes_patience: float = Field(
        10.0, ge=0, description="for a Git host to tell what a push changed; then it deploys"
    )
    look: float = Field(0.25, gt=0, description="first pause between looks at a deployment")
    look_at_most: float = Field(2.0, gt=0, description="longest pause between looks")
    adopt: float = Field(10.0, ge=0, description="to find what was asked for before a crash")
    lost: float = Field(
        10.0,
        gt=0,
        description="how long an accepted deployment may be missing from the backend's lists "
        "after a restart or an outage, before it is requested again",
    )
    untold: float = Field(
        120.0,
        gt=0,
        description="the same without an outage, or where the backend has no queue list; without "
        "one it ends as `unknown`",
    )
    unclosed: float = Field(
        30.0,
        gt=0,
        description="how long the backend may say that it builds without a job of that app; "
        "then `unknown`",
    )
    long: float = Field(3600.0, gt=0, description="a build takes until that is said")
    deployments_at_a_time: int = Field(
        64, ge=1, description="of each backend, followed by one process"
    )


class Feedback(Section):
    """How cards, comments and statuses are kept up to date; in seconds."""

    enabled: bool = Field(True, description="false shows nothing anywhere; deployments go on")
    debounce: float = Field(
        0.3, ge=0, description="from a change until it is shown, with what else changes by then"
    )
    poll: float = Field(1.0, gt=0, description="between looks for what other processes changed")
    retry: float = Field(1.0, gt=0, description="first pause where a place can't be reached")
    retry_at_most: float = Field(60.0, gt=0, description="longest pause between two tries")
    park_after: float = Field(
        86400.0, gt=0, description="of failing, then it is left until something changes"
    )
    longest: float = Field(120.0, gt=0, description="one place may take to be brought up to date")
    lease: float = Field(15.0, gt=0, description="until another process shows for one that died")
    lanes: int = Field(
        128, ge=1, description="channels and accounts that are written to at the same time"
    )


class Catchup(Section):
    """What hosts failed to deliver; works where their API may be asked (`github.token`, …)."""

    sweep: bool = Field(True, description="fetch deliveries that a host could not make")
    reconcile: bool = Field(
        True, description="find branches and tags that have moved without any webhook"
    )
    every: float = Field(300.0, gt=0, description="seconds between two rounds")
    grace: float = Field(90.0, ge=0, description="seconds that a webhook may take")
    hourly: float = Field(1200.0, gt=0, description="requests to the hosts an hour, at most")


# ── How long things are kept ────────────────────────────────────────────────────────────────────


class Retention(Section):
    """How long things are kept, in days; what has not ended is never forgotten."""

    bodies: float = Field(30.0, gt=0, description="bodies of webhooks; replay needs them")
    deliveries: float = Field(
        60.0, ge=4, description="ids of webhooks, by which repeated ones are known"
    )
    decisions: float = Field(365.0, gt=0, description="decisions and deployments")
    audit: float = Field(730.0, gt=0, description="who changed what")
    flows: float = Field(7.0, ge=1, description="ended workflows, the engine's own record")


# ── What deploys an app: how paths are read for all, and our own rules for some ─────────────────


class Watch(Section):
    """How watch paths and skip directives are read, for all apps."""

    semantics: Literal["exclude", "any"] = Field(
        "exclude", description="exclude: `!` excludes; any: as Dokploy up to v0.30.2, each alone"
    )
    picomatch: Literal["2.3.1", "2.3.2"] = Field(
        "2.3.1", description="the matcher's version, whose quirks patterns have"
    )
    skip_directives: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(
        SKIP_DIRECTIVES,
        description="texts in the head commit's message that prevent a deploy; none: no text does",
    )

    @field_validator("skip_directives")
    @classmethod
    def _not_in_every_text(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(one.strip() for one in value):
            raise ValueError("a text is empty, which every message has in it; leave it out")
        return value


class Rule(Section):
    """What the bridge itself says of some apps, where Dokploy's record can't hold it."""

    apps: str = Field(description="a label or a glob over labels, e.g. shop/*")
    trigger: Trigger | None = Field(None, description="push or tag, on any host")
    branch: str | None = Field(None, description="a name or glob in place of the backend's branch")
    watch_paths: tuple[str, ...] | None = Field(None, description="in place of the backend's")
    tags: str | None = Field(None, description="a glob that tags must match, e.g. v*")
    versions: str | None = Field(None, description="a range that versions must be in: >=1.2 <2")
    tag_prefix: str | None = Field(None, description="what stands before a version, e.g. api-v")
    prereleases: Prereleases | None = Field(
        None, description="deploy, skip or only; skip where versions is set, else deploy"
    )
    only_newer: bool | None = Field(None, description="never an older version after a newer one")
    skip_directives: bool | None = Field(None, description="false deploys even with [skip ci]")
    channels: tuple[str, ...] | None = Field(
        None, description="Slack channels for its cards, ids or #names, in place of slack.channel"
    )

    @field_validator("versions")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                Range.parse(value)
            except BadRange as error:
                raise ValueError(str(error)) from None
        return value


# ── The public listener, and what it takes at a time ────────────────────────────────────────────


class Web(Section):
    """The public listener."""

    max_body: int = Field(26 * 2**20, ge=1024, description="bytes of a webhook; GitHub sends 25 MB")
    max_in_flight: int = Field(
        96 * 2**20,
        ge=2**20,
        description="bytes of all bodies at a time; more has to wait",
    )
    body_timeout: float = Field(10.0, gt=0, description="seconds for a body to arrive")
    metrics_token: Secret | None = Field(
        None, description="a Bearer token that may read /metrics from other machines"
    )
