"""The sections of previews: those of an app's rule, and what holds for all."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from bridge.core.errors import Rejected
from bridge.core.policies import Forks, PreviewPolicy, check_host, check_place
from bridge.core.variables import assignment
from bridge.ports.settings import Section
from bridge.settings.gates import Seconds

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
    host: str | None = Field(
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
    place: str = Field(
        "previews", min_length=1, max_length=100, description="the backend's environment for them"
    )
    pin: bool = Field(
        False, description="build exactly the pull request's commit, as forks always are"
    )
    channels: tuple[str, ...] | None = Field(
        None, description="the channels that get messages; by default those of the app, [] for none"
    )

    @field_validator("host")
    @classmethod
    def _tells_them_apart(cls, value: str | None) -> str | None:
        if value is not None:
            _check(check_host, value)
        return value

    @field_validator("place")
    @classmethod
    def _is_not_production(cls, value: str) -> str:
        _check(check_place, value)
        return value

    @field_validator("environment", "build_args")
    @classmethod
    def _are_variables(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name[:40]!r} is no name of a variable: write e.g. LOG_LEVEL")
            _check(partial(assignment, name), secret.get_secret_value())
        return value

    def policy(self) -> PreviewPolicy:
        """Return what it means to the core."""
        given = self.model_dump(exclude={"environment", "build_args", "memory", "channels"})
        return PreviewPolicy(
            **given,
            environment=_plain(self.environment),
            build_args=_plain(self.build_args),
            memory=self.memory * 2**20,
        )


def _check(check: Callable[[str], object], value: str) -> None:
    try:
        check(value)
    except Rejected as error:
        raise ValueError(str(error)) from None


def _plain(variables: Mapping[str, SecretStr]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value.get_secret_value()) for name, value in variables.items())


class AllPreviews(Section):
    """What holds for the previews of all apps together."""

    limit: int = Field(20, ge=1, le=10_000, description="the most at a time, of all apps")
    sweep: Seconds = Field(
        300.0, gt=0, description="how often pull requests and previews are compared, e.g. 5m"
    )
