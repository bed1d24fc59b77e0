"""What deploys: a Dokploy, or the embedded backend."""

from typing import Literal, Self

from pydantic import Field, model_validator

from bridge.settings.addresses import LAST_PORT, Address, ListeningAddress
from bridge.settings.values import Credential, PemFile, Section


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
        return self.port + 1 if 0 < self.port < LAST_PORT else 0

    @model_validator(mode="after")
    def _two_ports(self) -> Self:
        if self.port and self.port == self.sites_port:
            raise ValueError(
                f"port and sites_port are both {self.port}: the sites need a port of their own, so"
                " that their scripts can't reach the page that asks for the API key"
            )
        return self
