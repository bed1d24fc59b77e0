"""The sections of verified deployments."""

from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bridge.core.errors import Rejected
from bridge.core.policies import (
    LONGEST_KEEP,
    VerifyPolicy,
    check_address,
    check_time,
    read_statuses,
)
from bridge.ports.settings import Section, as_list
from bridge.settings.gates import Seconds


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


class Verify(Section):
    """How a deployment is verified once the backend calls it done."""

    on: bool = Field(True, description="false overrides an earlier rule")
    url: str = Field(
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

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            check_address(value)
        except Rejected as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("status")
    @classmethod
    def _are_statuses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for one in value or ("",):
                read_statuses(one)
        except Rejected as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            check_time(self.every, self.consecutive, self.within)
        except Rejected as error:
            raise ValueError(str(error)) from None
        return self

    def policy(self) -> VerifyPolicy:
        """Return what it means to the core."""
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
