"""All settings together: the sections of `bridge.yaml`, and what stands above them."""

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from bridge.core import access
from bridge.core.access import Access
from bridge.core.apps import Rules
from bridge.core.database import SCHEMES
from bridge.core.decision import Policy
from bridge.core.misfits import shortened
from bridge.core.rules import RuleBook
from bridge.settings.sections import (
    Catchup,
    DokploySettings,
    Embedded,
    Feedback,
    Github,
    Gitlab,
    Grant,
    Journey,
    Retention,
    Rule,
    Slack,
    Watch,
    Web,
)
from bridge.settings.values import (
    LAST_PORT,
    ListeningAddress,
    Secrets,
    Section,
    as_yaml,
    no_postgres,
)

SHORTEST_KEY = 32

TAKEN_NAMES = {"dokploy": "the Dokploy of `dokploy.url`", "embedded": "the embedded backend"}
"""Names that no further Dokploy can have, and what has them."""

_NAME_OF_BACKEND = re.compile(r"[A-Za-z0-9_-]{1,63}").fullmatch


class Settings(Section):
    """Everything that can be set."""

    host: ListeningAddress = Field(
        "127.0.0.1", description="address to listen on; 0.0.0.0 in a container"
    )
    port: int = Field(8080, ge=0, le=LAST_PORT, description="port to listen on; 0 takes a free one")
    data: Path = Field(Path(".bridge"), description="where everything is kept")
    database_url: SecretStr | None = Field(
        None,
        description="postgres://… keeps everything there instead, for one process or many",
    )
    secret_key: Secrets = Field(
        (),
        description="seals what must be kept secret for a while; without it a key file in `data`"
        " does, and with Postgres nothing. Several while you rotate them: the first seals",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, JSON elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least level that is logged"
    )
    github: Github = Github()
    gitlab: Gitlab = Gitlab()
    dokploy: DokploySettings = DokploySettings()
    backends: Annotated[
        dict[str, DokploySettings], BeforeValidator(partial(as_yaml, nothing=dict))
    ] = Field(
        {}, description="further Dokploys by name, each as `dokploy`; in the environment as YAML"
    )
    embedded: Embedded = Embedded()
    slack: Slack = Slack()
    web: Web = Web()
    watch: Watch = Watch()
    rules: Annotated[tuple[Rule, ...], BeforeValidator(as_yaml)] = Field(
        (), description="our own rules for apps; in the environment as YAML"
    )
    access: Annotated[tuple[Grant, ...], BeforeValidator(as_yaml)] = Field(
        (), description="who may do what by chat; in the environment as YAML"
    )
    journey: Journey = Journey()
    feedback: Feedback = Feedback()
    catchup: Catchup = Catchup()
    retention: Retention = Retention()

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < SHORTEST_KEY for key in value):
            raise ValueError(
                f"a key has at least {SHORTEST_KEY} characters: take what `openssl rand -hex 32`"
                " prints"
            )
        return value

    @field_validator("database_url", mode="before")
    @classmethod
    def _is_postgres(cls, value: object) -> object:
        if isinstance(value, str):
            if not value.startswith(SCHEMES):
                raise ValueError(f"it must begin with {' or '.join(SCHEMES)}")
            if why := no_postgres(value):
                raise ValueError(f"its host or port can't be one: {why}")
        return value

    @field_validator("backends")
    @classmethod
    def _have_names(cls, value: dict[str, DokploySettings]) -> dict[str, DokploySettings]:
        for name in value:
            if name.casefold() in TAKEN_NAMES:
                raise ValueError(
                    f"{name!r} can't be the name of a further Dokploy: it means"
                    f" {TAKEN_NAMES[name.casefold()]}; choose another, e.g. second"
                )
            if not _NAME_OF_BACKEND(name):
                raise ValueError(
                    f"{shortened(name)} can't be the name of a Dokploy: write 1 to 63 letters,"
                    " digits, - and _, e.g. second"
                )
        return value

    @field_validator("data")
    @classmethod
    def _is_named(cls, value: Path) -> Path:
        if value == Path() or "\0" in str(value):
            raise ValueError("it must name a folder, e.g. /var/lib/bridge")
        return value


# ── What settings mean to the core: its own policy, rules and rights ────────────────────────────


def policy_of(settings: Settings) -> Policy:
    """How watch paths and skip directives are read."""
    return Policy(**settings.watch.model_dump())


def book_of(settings: Settings) -> RuleBook:
    """Our own rules for apps."""
    return [
        (rule.apps, Rules(**rule.model_dump(exclude={"apps", "channels"})))
        for rule in settings.rules
    ]


def channels_of(settings: Settings) -> list[tuple[str, tuple[str, ...]]]:
    """The channels that rules name for apps."""
    return [(rule.apps, rule.channels) for rule in settings.rules if rule.channels is not None]


def access_of(settings: Settings) -> Access:
    """Who may do what by chat."""
    return Access(
        [
            access.Grant(grant.who, frozenset(grant.may), grant.apps, grant.channels)
            for grant in settings.access
        ]
    )
