"""The public listener, and what it takes at a time."""

from pydantic import Field

from bridge.settings.values import Secret, Section


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
