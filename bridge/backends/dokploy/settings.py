"""The settings of Dokploy."""

from typing import Literal

from pydantic import Field

from bridge.ports.settings import Address, Credential, PemFile, Section


class DokploySettings(Section):
    """The Dokploy that deploys; without a url, the embedded backend deploys."""

    url: Address | None = Field(None, description="e.g. https://dokploy.example.com")
    api_key: Credential | None = Field(None, description="an API key without a rate limit")
    auth: Literal["api-key", "bearer"] = Field("api-key", description="how the key is sent")
    connect_timeout: float = Field(5.0, gt=0, description="seconds to connect")
    read_timeout: float = Field(20.0, gt=0, description="seconds to wait for an answer")
    max_connections: int = Field(16, ge=1, description="connections at a time")
    read_retries: int = Field(2, ge=0, description="retries of requests that only read")
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    allow_kill_build: bool = Field(
        False, description="cancel may interrupt all Docker builds on its host, even of other apps"
    )
