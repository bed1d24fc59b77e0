"""Rules for apps, and their sections: `verify`, `previews`, and what holds for all apps."""

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from bridge.core.apps import Approvers, Prereleases, Trigger
from bridge.core.policies import (
    LONGEST_KEEP,
    Forks,
    PreviewPolicy,
    VerifyPolicy,
    check_address,
    check_time,
    read_statuses,
)
from bridge.core.rules import Range
from bridge.core.variables import assignment
from bridge.ports.settings import AppPattern, Section, as_list
from bridge.settings.gates import Checks, Seconds, as_checks, as_value_error, checked


def as_verify(value: object) -> object:
    """Return `verify: true`, `false` or an address as a section."""
    if isinstance(value, bool):
        return {"on": value}
    return {"url": value} if isinstance(value, str) else value


def _as_texts(value: object) -> object:
    """Return statuses as texts, also one alone."""
    if isinstance(value, str):
        return as_list(value)
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


# ── Where previews are ────────────────────────────────────────────────────────────────────────────

PLACES = ("number", "app", "project")
"""What the pattern of a preview's host name may contain, in braces."""

_BRACES = re.compile(r"\{([^{}]*)\}")

_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{1,63}")


def check_host(pattern: str) -> None:
    """Raise ValueError if a pattern can't give each pull request a host name of its own."""
    unknown = set(_BRACES.findall(pattern)) - set(PLACES)
    if unknown:
        places = ", ".join(f"{{{one}}}" for one in PLACES)
        raise ValueError(f"{{{min(unknown)}}} means nothing in a host name: {places} do")
    if "{number}" not in pattern:
        raise ValueError(
            f"{pattern!r} is the same for every pull request: write e.g. pr-{{number}}-{{app}}."
            "preview.example.com"
        )
    sample = _BRACES.sub("1", pattern.lower())
    if not _NAME.fullmatch(sample):
        raise ValueError(
            f"{pattern!r} is no host name: write e.g. pr-{{number}}-{{app}}.example.com"
        )


def check_place(name: str) -> None:
    """Raise ValueError if previews can't be made in an environment of this name."""
    if name.lower() == "production":
        raise ValueError("previews are never made in the environment production: name another one")


# ── Rules ─────────────────────────────────────────────────────────────────────────────────────────


class Verify(Section):
    """How a deployment is verified once the backend calls it done."""

    on: bool = Field(True, description="false overrides an earlier rule")
    url: Annotated[str, checked(check_address)] = Field(
        "/", description="what is requested: an address, or a path at the app's own, e.g. /healthz"
    )
    status: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = Field(
        ("2xx",), description="the statuses that are healthy, e.g. 200, 2xx or 200-399"
    )
    contains: str | None = Field(
        None,
        min_length=1,
        description="text that the body must contain; {commit} and {short} stand for the commit",
    )
    containers: bool = Field(
        True, description="also look at the app's containers, where the key may read them"
    )
    within: Seconds = Field(60.0, gt=0, le=3600, description="how long it may take, e.g. 2m")
    consecutive: int = Field(2, ge=1, le=100, description="healthy looks in a row")
    every: Seconds = Field(2.0, ge=0.1, le=300, description="between two looks")
    rollback: bool = Field(False, description="go back to the version before if it is unhealthy")
    keep: Seconds = Field(
        0.0,
        ge=0,
        le=LONGEST_KEEP,
        description="how long to watch a verified version on, e.g. 30m; 0 for not at all",
    )

    @field_validator("status")
    @classmethod
    def _are_statuses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value or ("",):
            as_value_error(read_statuses)(one)
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        as_value_error(check_time)(self.every, self.consecutive, self.within)
        return self

    def policy(self) -> VerifyPolicy:
        status = read_statuses(", ".join(self.status))
        return VerifyPolicy(**self.model_dump(exclude={"status"}), status=status)


class Verifying(Section):
    """What may be asked to verify deployments."""

    allow: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(
        (), description="private networks that `verify` may reach, e.g. 10.0.0.0/8; by default none"
    )

    @field_validator("allow")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ip_network(one)
            except ValueError:
                raise ValueError(
                    f"{one!r} is no network: write e.g. 10.0.0.0/8 or 192.168.1.20"
                ) from None
        return value


class Rollback(Section):
    """What a rollback does besides."""

    lock: bool = Field(True, description="a rollback locks its app until somebody unlocks it")


# ── Previews of pull requests ─────────────────────────────────────────────────────────────────────

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")


def as_previews(value: object) -> object:
    """Return `previews: true`, `false` or a host name as a section."""
    if isinstance(value, bool):
        return {"on": value}
    return {"host": value} if isinstance(value, str) else value


def _as_values(value: object) -> object:
    """Return variables with their values as texts; YAML reads some as numbers."""
    if not isinstance(value, Mapping):
        return value
    return {name: one if isinstance(one, SecretStr) else _text(one) for name, one in value.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


Variables = Annotated[dict[str, SecretStr], BeforeValidator(_as_values)]
"""Variables by name; their values are secrets, and never shown."""


class Previews(Section):
    """An app for each pull request of an app."""

    on: bool = Field(True, description="false overrides an earlier rule")
    host: Annotated[str, checked(check_host)] | None = Field(
        None,
        description="host name of a preview, e.g. pr-{number}-{app}.preview.example.com; without"
        " one the backend suggests it",
    )
    https: bool = Field(False, description="serve it with a certificate of Let's Encrypt")
    port: int = Field(3000, ge=1, le=65535, description="the port of the app's container")
    label: str | None = Field(None, min_length=1, description="only pull requests with this label")
    drafts: bool = Field(False, description="also drafts")
    forks: Forks = Field(
        Forks.APPROVAL, description="pull requests from forks: approval (of each commit) or never"
    )
    limit: int = Field(5, ge=1, le=1000, description="the most of this app at a time")
    idle: Seconds = Field(
        7 * 86_400.0, ge=60, description="how long one stays without a push, e.g. 48h"
    )
    environment: Variables = Field(
        {}, description="its whole environment; nothing of the app's own is taken over"
    )
    build_args: Variables = Field({}, description="its build arguments, likewise")
    environment_for_forks: bool = Field(
        False, description="give environment and build_args to approved forks, too"
    )
    ci_secrets_for_forks: bool = Field(
        False,
        description="where only branches can be built, let approved forks have one in the"
        " repository, whose CI then runs them with its secrets",
    )
    mirror_for_forks: str | None = Field(
        None,
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="a fork of the repository without secrets, owner/name, that gets these branches"
        " instead",
    )
    memory: int = Field(512, ge=6, description="the most memory of one, in MiB")
    cpus: float | None = Field(1.0, gt=0, le=1024, description="the most cores of one")
    place: Annotated[str, checked(check_place)] = Field(
        "previews", min_length=1, max_length=100, description="the backend's environment for them"
    )
    pin: bool = Field(
        False, description="build exactly the pull request's commit, as forks always are"
    )
    channels: tuple[str, ...] | None = Field(
        None, description="the channels that get messages; by default those of the app, [] for none"
    )

    @field_validator("environment", "build_args")
    @classmethod
    def _are_variables(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name[:40]!r} is no name of a variable: write e.g. LOG_LEVEL")
            as_value_error(assignment)(name, secret.get_secret_value())
        return value

    def policy(self) -> PreviewPolicy:
        given = self.model_dump(exclude={"environment", "build_args", "memory", "channels"})
        return PreviewPolicy(
            **given,
            environment=_plain(self.environment),
            build_args=_plain(self.build_args),
            memory=self.memory * 2**20,
        )


def _plain(variables: Mapping[str, SecretStr]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value.get_secret_value()) for name, value in variables.items())


class AllPreviews(Section):
    """What holds for the previews of all apps together."""

    limit: int = Field(20, ge=1, le=10_000, description="the most at a time, of all apps")
    sweep: Seconds = Field(
        300.0, gt=0, description="how often pull requests and previews are compared, e.g. 5m"
    )


# ── Rules ─────────────────────────────────────────────────────────────────────────────────────────


class Rule(Section):
    """Our own rules for some apps, for what Dokploy's record can't hold."""

    apps: AppPattern = Field(
        description="a label or a glob over labels, e.g. shop/*; * is every app"
    )
    trigger: Trigger | None = Field(None, description="push or tag, on any host")
    branch: str | None = Field(None, description="a name or glob, instead of the backend's branch")
    watch_paths: tuple[str, ...] | None = Field(None, description="instead of the backend's")
    tags: str | None = Field(None, description="a glob that tags must match, e.g. v*")
    versions: Annotated[str, checked(Range.parse)] | None = Field(
        None, description="a range that must contain the version: >=1.2 <2"
    )
    tag_prefix: str | None = Field(None, description="the text before a version, e.g. api-v")
    prereleases: Prereleases | None = Field(
        None,
        description="deploy, skip or only; the default is skip if versions is set, else deploy",
    )
    only_newer: bool | None = Field(
        None, description="true refuses an older version after a newer one"
    )
    skip_directives: bool | None = Field(None, description="false deploys even with [skip ci]")
    checks: Annotated[Checks | None, BeforeValidator(as_checks)] = Field(
        None,
        description="the checks to wait for: required, all, a list of names, or a section with"
        " need, ignore, none_after, none, timeout, late",
    )
    approvals: int | None = Field(
        None, ge=0, le=10, description="people who must approve a commit before it deploys"
    )
    approvals_by: Approvers | None = Field(
        None,
        description="whose approvals count: recognised (by default: of whom it is certain that they"
        " are not an author) or anyone (of whom it is not known that they are)",
    )
    after: Annotated[tuple[AppPattern, ...] | None, BeforeValidator(as_list)] = Field(
        None, description="apps that must be live with the same commit first; labels or globs"
    )
    soak: Seconds | None = Field(
        None, ge=0, description="how long these must have been live, e.g. 10m"
    )
    verify: Annotated[Verify | None, BeforeValidator(as_verify)] = Field(
        None,
        description="check whether it works once the backend calls it done: true, false, an"
        " address, or a section with url, status, contains, containers, within, consecutive,"
        " every, rollback",
    )
    pin: bool | None = Field(
        None,
        description="true: the backend must build exactly the commit that was judged; needs"
        " `branch`, and `dokploy-bridge pin APP` once",
    )
    previews: Annotated[Previews | None, BeforeValidator(as_previews)] = Field(
        None,
        description="an app for each pull request: true, false, a host name, or a section with"
        " host, https, port, label, drafts, forks, limit, idle, environment, build_args,"
        " environment_for_forks, ci_secrets_for_forks, mirror_for_forks, memory, cpus, place, pin,"
        " channels",
    )
    channels: tuple[str, ...] | None = Field(
        None,
        description="the channels of its cards: Slack's ids or #names, or discord:<webhook>;"
        " instead of slack.channel and discord.webhook",
    )
