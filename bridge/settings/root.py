"""All settings together: the sections of `bridge.yaml`, and what stands above them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from bridge.core.database import SCHEMES
from bridge.settings.access import Grant
from bridge.settings.addresses import LAST_PORT, ListeningAddress, no_postgres
from bridge.settings.backends import DokploySettings, Embedded
from bridge.settings.hosts import Github, Gitlab
from bridge.settings.journey import Catchup, Feedback, Journey
from bridge.settings.retention import Retention
from bridge.settings.rules import Rule, Watch
from bridge.settings.slack import Slack
from bridge.settings.values import Secrets, Section, as_yaml
from bridge.settings.web import Web

SHORTEST_KEY = 32


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
    backends: Annotated[dict[str, DokploySettings], BeforeValidator(as_yaml)] = Field(
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

    @field_validator("data")
    @classmethod
    def _is_named(cls, value: Path) -> Path:
        if value == Path() or "\0" in str(value):
            raise ValueError("it must name a folder, e.g. /var/lib/bridge")
        return value
