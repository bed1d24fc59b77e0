"""The sections of `bridge.yaml`, except those that hosts, backends and chats own."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from bridge.core.addresses import LAST_PORT
from bridge.core.decision import SKIP_DIRECTIVES
from bridge.core.validation_errors import shortened
from bridge.ports.settings import (
    Address,
    ListeningAddress,
    PemFile,
    Secret,
    Section,
    SignInClient,
    as_list,
)
from bridge.ports.sign_in import TokenAuth

# ── The embedded backend ──────────────────────────────────────────────────────────────────────────


class Embedded(Section):
    """The embedded backend, used if no Dokploy is configured."""

    host: ListeningAddress = Field(
        "127.0.0.1", description="address of its API and of the sites it serves"
    )
    port: int = Field(8090, ge=0, le=LAST_PORT, description="port of its API; 0 takes a free one")
    sites_port: int | None = Field(
        None, ge=0, le=LAST_PORT, description="port of the sites; by default the one after `port`"
    )
    sites_url: Address | None = Field(
        None,
        description="where people reach the sites, e.g. https://sites.example.com; if unset, links"
        " to them appear on this machine only",
    )
    builds_concurrency: int = Field(2, ge=1, description="builds that run at a time")
    build_timeout: float = Field(1800.0, gt=0, description="seconds a build may take")
    build_memory: int = Field(
        8192, ge=256, description="MiB for each program of a build; Docker has its own limits"
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
                f"port is {LAST_PORT}, and there is no next one for the sites: choose"
                " another with BRIDGE_EMBEDDED_PORT, or set BRIDGE_EMBEDDED_SITES_PORT"
            )
        return self


# ── How often and how long to look and wait: deploying, publishing, catching up ───────────────────


class Journey(Section):
    """How often to look and how long to wait, in seconds."""

    catalog_every: float = Field(
        60.0,
        gt=0,
        description="between readings of the list of apps; each minute a quarter of them is read",
    )
    catalog_eager: float = Field(
        3.0,
        ge=0,
        description="least time between readings caused by pushes to unknown repositories; after "
        "three readings for the same repository, up to a minute",
    )
    push_window: float = Field(
        600.0, ge=0, description="the same push from two webhooks deploys once within this time"
    )
    changes_patience: float = Field(
        10.0,
        ge=0,
        description="how long to wait for a Git host's list of changed files; then it deploys",
    )
    look: float = Field(0.25, gt=0, description="first pause between polls of a deployment")
    look_at_most: float = Field(2.0, gt=0, description="longest pause between polls")
    adopt: float = Field(
        10.0,
        ge=0,
        description="how long to search for a deployment that was requested before a crash",
    )
    lost: float = Field(
        10.0,
        gt=0,
        description="how long an accepted deployment may be missing from the backend's lists "
        "after a restart or an outage, before it is requested again",
    )
    untold: float = Field(
        120.0,
        gt=0,
        description="the same without an outage, or if the backend has no queue list; without "
        "a list it then ends as `unknown`",
    )
    unclosed: float = Field(
        30.0,
        gt=0,
        description="how long the backend may report a build without having a job of that app; "
        "then `unknown`",
    )
    long: float = Field(
        3600.0, gt=0, description="how long a build may take before that is reported"
    )
    deployments_at_a_time: int = Field(
        64, ge=1, description="deployments per backend that one process follows"
    )


class Feedback(Section):
    """How cards, comments and statuses are kept up to date; times are in seconds."""

    enabled: bool = Field(True, description="false publishes nothing anywhere; deployments go on")
    debounce: float = Field(
        0.3,
        ge=0,
        description="from a change until it is published, together with changes in between",
    )
    poll: float = Field(1.0, gt=0, description="between polls for changes by other processes")
    retry: float = Field(1.0, gt=0, description="first pause after a service could not be reached")
    retry_at_most: float = Field(60.0, gt=0, description="longest pause between attempts")
    park_after: float = Field(
        86400.0,
        gt=0,
        description="how long attempts may fail before they stop until the next change",
    )
    longest: float = Field(120.0, gt=0, description="how long one update may take")
    lease: float = Field(
        15.0, gt=0, description="until another process takes over publishing from one that died"
    )
    lanes: int = Field(128, ge=1, description="channels and accounts to write to at the same time")


class Catchup(Section):
    """Find what Git hosts failed to deliver; needs access to their API (`github.token`, …)."""

    sweep: bool = Field(True, description="fetch deliveries that a host failed to make")
    reconcile: bool = Field(True, description="find branches and tags that moved without a webhook")
    every: float = Field(300.0, gt=0, description="seconds between rounds")
    grace: float = Field(90.0, ge=0, description="seconds that a webhook may be late")
    hourly: float = Field(1200.0, gt=0, description="requests to the hosts per hour, at most")


# ── How long things are kept ────────────────────────────────────────────────────────────────────


class Retention(Section):
    """How long records are kept, in days; open deployments are never deleted."""

    bodies: float = Field(30.0, gt=0, description="bodies of webhooks, for replays")
    deliveries: float = Field(
        60.0, ge=4, description="ids of webhooks, for recognising repeated ones"
    )
    decisions: float = Field(365.0, gt=0, description="decisions and deployments")
    audit: float = Field(730.0, gt=0, description="who changed what")
    flows: float = Field(7.0, ge=1, description="ended workflows, in the engine's own record")


# ── What deploys an app: how paths are read for all, and our own rules for some ───────────────────


class Watch(Section):
    """How watch paths and skip directives are read, for all apps."""

    semantics: Literal["exclude", "any"] = Field(
        "exclude", description="exclude: `!` excludes; any: as Dokploy up to v0.30.2, each alone"
    )
    picomatch: Literal["2.3.1", "2.3.2"] = Field(
        "2.3.1", description="the version of the matcher whose quirks apply"
    )
    skip_directives: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(
        SKIP_DIRECTIVES,
        description="texts in the head commit's message that prevent a deploy; none: all deploy",
    )

    @field_validator("skip_directives")
    @classmethod
    def _not_in_every_text(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(one.strip() for one in value):
            raise ValueError("a text is empty, which every message contains; remove it")
        return value


# ── The public listener, and its limits ───────────────────────────────────────────────────────────


def _is_text(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > LONGEST_TITLE:
        raise ValueError(f"it must be a name of 1 to {LONGEST_TITLE} characters on one line")
    return value


LONGEST_TITLE = 40


class Oidc(SignInClient):
    """Any provider of OpenID Connect with which people sign in to the console."""

    issuer: Address | None = Field(
        None, description="its issuer, to the last slash, e.g. https://id.example.com/realms/team"
    )
    title: Annotated[str, AfterValidator(_is_text)] = Field(
        "single sign-on", description="what the button says after *Sign in with*"
    )
    scopes: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(
        ("openid", "profile", "email"), description="what to ask it for"
    )
    groups_claim: str = Field(
        "groups", min_length=1, description="the claim with the names of a person's groups"
    )
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    token_auth: TokenAuth | None = Field(
        None,
        description="how to send the client's secret: `basic` (in a header) or `post` (in the"
        " form); unset, basic wherever the provider takes it",
    )

    @field_validator("scopes")
    @classmethod
    def _words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", one):
                raise ValueError(f"{shortened(one)} is no scope: write one word for each")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.issuer is None) != (self.client_id is None):
            lacks = "issuer" if self.issuer is None else "client_id and client_secret"
            raise ValueError(f"{lacks} is missing: nobody can sign in without it, so set all three")
        return self


class Console(Section):
    """The pages under /console."""

    enabled: bool = Field(True, description="false serves no console")
    oidc: Oidc = Oidc()


class Web(Section):
    """The public listener."""

    max_body: int = Field(26 * 2**20, ge=1024, description="bytes of a webhook; GitHub sends 25 MB")
    max_in_flight: int = Field(
        96 * 2**20, ge=2**20, description="bytes of all bodies at a time; more must wait"
    )
    body_timeout: float = Field(10.0, gt=0, description="seconds for a body to arrive")
    metrics_token: Secret | None = Field(
        None, description="a Bearer token that lets other machines read /metrics"
    )
