"""The settings of Dokploy."""

from typing import Literal

from pydantic import Field

from bridge.ports.settings import Address, Credential, PemFile, Section


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
