"""Who may do what by chat."""

import base64
import binascii
import re
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge.core.access import EVERYONE, Right
from bridge.core.apps import Prereleases, Trigger
from bridge.core.decision import SKIP_DIRECTIVES
from bridge.core.rules import BadRange, Range
from bridge.settings.values import (
    LAST_PORT,
    Address,
    Credential,
    ListeningAddress,
    PemFile,
    Secret,
    Section,
    WebhookSecrets,
    as_list,
    token_of,
)

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


# ── What deploys: a Dokploy, or the embedded backend ────────────────────────────────────────────


class DokploySettings(Section):
    """The Dokploy that deploys; without a url the embedded backend does."""

    url: Address | None = Field(None, description="e.g. https://dokploy.example.com")
    api_key: Credential | None = Field(None, description="made without a rate limit")
    auth: Literal["api-key", "bearer"] = Field("api-key", description="how the key is sent")
    connect_timeout: float = Field(5.0, gt=0, description="seconds to reach it")
    read_timeout: float = Field(20.0, gt=0, description="seconds until it answers")
    max_connections: int = Field(16, ge=1, description="connections at a time")
    read_retries: int = Field(2, ge=0, description="further tries of what only reads")
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    allow_kill_build: bool = Field(
        False, description="cancel may interrupt all Docker builds on its host, other apps' too"
    )


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


# ── The Git hosts: what their webhooks carry, and how their API is asked ────────────────────────

Uses = Annotated[tuple[Literal["comment", "status", "deployment"], ...], BeforeValidator(as_list)]
"""What of a Git host shows what became of a push."""

GithubToken = Annotated[Credential, AfterValidator(partial(token_of, "GitHub"))]
GitlabToken = Annotated[Credential, AfterValidator(partial(token_of, "GitLab"))]


def _is_signing_token(value: SecretStr) -> SecretStr:
    begin, _, encoded = value.get_secret_value().strip().partition("_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if begin != "whsec" or not key:
        raise ValueError("a signing token is whsec_ and base64: copy it anew from GitLab")
    return value


SigningTokens = Annotated[
    tuple[Annotated[Secret, AfterValidator(_is_signing_token)], ...], BeforeValidator(as_list)
]


class Github(Section):
    """GitHub or GitHub Enterprise Server."""

    webhook_secrets: WebhookSecrets = Field(
        (), description="secrets of its webhooks; several while you rotate them"
    )
    token: GithubToken | None = Field(
        None, description="a token: comments, statuses, changed files; or a GitHub App"
    )
    app_id: int | None = Field(None, gt=0, description="id of a GitHub App, instead of a token")
    private_key: Secret | None = Field(None, description="the App's private key, PEM")
    api_url: Address = Field(
        "https://api.github.com", description="base of its API; GHES: https://HOST/api/v3"
    )
    web_url: Address | None = Field(
        None, description="where its webhooks say it is, if not where `api_url` leads"
    )
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    feedback: Uses = Field(
        ("comment", "status", "deployment"),
        description="what shows there how a push went; none: nothing",
    )
    skipped_status: bool = Field(
        False,
        description="a skipped app gets a status as well, for branch rules that require it",
    )


class Gitlab(Section):
    """GitLab.com or a server of your own."""

    webhook_tokens: WebhookSecrets = Field((), description="secret tokens of its webhooks")
    signing_tokens: SigningTokens = Field(
        (), description="signing tokens (whsec_…, GitLab 19.0): unsigned webhooks are refused then"
    )
    url: Address = Field("https://gitlab.com", description="where your GitLab is")
    web_url: Address | None = Field(
        None, description="where its webhooks say it is (`external_url`), if not at `url`"
    )
    token: GitlabToken | None = Field(
        None, description="a project or group token: comments, statuses, changed files"
    )
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    feedback: Uses = Field(
        ("comment", "deployment"),
        description="what shows there how a push went; none: nothing; a status makes an external"
        " pipeline, which may hold up merges",
    )
    skipped_status: bool = Field(
        False, description="a skipped app gets a status as well, where statuses are shown"
    )


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
    deployments_at_a_time: int = Field(64, ge=1, description="followed by one process")


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


# ── The team's chat ─────────────────────────────────────────────────────────────────────────────

SECRETS = {
    "bot_token": ("xoxb-", "the Bot User OAuth Token (xoxb-…, OAuth & Permissions)"),
    "app_token": ("xapp-", "the App-Level Token (xapp-…, Basic Information)"),
    "signing_secret": ("", "the Signing Secret (Basic Information)"),
}
"""How Slack's secrets begin, by their setting, and what and where they are in Slack."""


class Slack(Section):
    """The team's chat, by HTTP (a signing secret) or by Socket Mode (an app token)."""

    bot_token: Credential | None = Field(None, description="xoxb-…; without it there is no chat")
    signing_secret: Secret | None = Field(
        None, description="for HTTP: what Slack signs its requests with"
    )
    app_token: Credential | None = Field(
        None, description="xapp-…, for Socket Mode: no public address is needed then"
    )
    team_id: str = Field("", description="the workspace (T…) that is served; else the token's")
    channel: str = Field("", description="where cards of apps go for which no rule names channels")
    api_url: Address = Field("https://slack.com/api/", description="base of its API")
    people_every: float = Field(
        300.0, gt=0, description="seconds until a person's groups and email are asked for again"
    )

    @field_validator("team_id")
    @classmethod
    def _is_a_team(cls, value: str) -> str:
        if value and not re.fullmatch(r"[TE][A-Z0-9]+", value):
            raise ValueError("it must be a workspace's id, which looks like T024BE7LD")
        return value

    @field_validator("channel")
    @classmethod
    def _is_one_channel(cls, value: str) -> str:
        if re.search(r"[\s,]", value):
            raise ValueError("it must be one channel, e.g. C024BE91L or #deploys")
        return value

    @field_validator(*SECRETS)
    @classmethod
    def _belongs_here(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """Refuse a token in the place of another; of a kind that is not known anything is taken."""
        here = info.field_name or ""
        if here == "bot_token" and value and value.get_secret_value().startswith("xoxp-"):
            raise ValueError(
                f"it begins with xoxp-, so it is a person's token; here belongs {SECRETS[here][1]}"
            )
        for setting, (begin, what) in SECRETS.items():
            if value and begin and setting != here and value.get_secret_value().startswith(begin):
                raise ValueError(
                    f"it begins with {begin}, so it is {what}; that is BRIDGE_SLACK_"
                    f"{setting.upper()}, and here belongs {SECRETS[here][1]}"
                )
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
