"""How long things are kept."""

from pydantic import Field

from bridge.settings.values import Section


class Retention(Section):
    """How long things are kept, in days; what has not ended is never forgotten."""

    bodies: float = Field(30.0, gt=0, description="bodies of webhooks; replay needs them")
    deliveries: float = Field(
        60.0, ge=4, description="ids of webhooks, by which repeated ones are known"
    )
    decisions: float = Field(365.0, gt=0, description="decisions and deployments")
    audit: float = Field(730.0, gt=0, description="who changed what")
    flows: float = Field(7.0, ge=1, description="ended workflows, the engine's own record")
