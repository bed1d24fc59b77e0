"""What a push's journey waits for and how often it looks: deploying, showing, catching up."""

from pydantic import Field

from bridge.settings.values import Section


class Journey(Section):
    """How often to look and how long to wait, in seconds."""

    catalog_every: float = Field(
        60.0,
        gt=0,
        description="between two looks at the list of apps; a quarter of them is read each minute",
    )
    catalog_eager: float = Field(
        3.0,
        ge=0,
        description="at least, between readings that pushes of unknown repositories cause; those "
        "of one that was looked for three times wait up to a minute",
    )
    push_window: float = Field(600.0, ge=0, description="the same push by two hooks deploys once")
    changes_patience: float = Field(
        10.0, ge=0, description="for a Git host to tell what a push changed; then it deploys"
    )
    look: float = Field(0.25, gt=0, description="first pause between looks at a deployment")
    look_at_most: float = Field(2.0, gt=0, description="longest pause between looks")
    adopt: float = Field(10.0, ge=0, description="to find what was asked for before a crash")
    lost: float = Field(
        10.0,
        gt=0,
        description="how long an accepted deployment may be missing from the backend's lists "
        "after a restart or an outage, before it is requested again",
    )
    untold: float = Field(
        120.0,
        gt=0,
        description="the same without an outage, or where the backend has no queue list; without "
        "one it ends as `unknown`",
    )
    unclosed: float = Field(
        30.0,
        gt=0,
        description="how long the backend may say that it builds without a job of that app; "
        "then `unknown`",
    )
    long: float = Field(3600.0, gt=0, description="a build takes until that is said")
    deployments_at_a_time: int = Field(64, ge=1, description="followed by one process")


class Feedback(Section):
    """How cards, comments and statuses are kept up to date; in seconds."""

    enabled: bool = Field(True, description="false shows nothing anywhere; deployments go on")
    debounce: float = Field(
        0.3, ge=0, description="from a change until it is shown, with what else changes by then"
    )
    poll: float = Field(1.0, gt=0, description="between looks for what other processes changed")
    retry: float = Field(1.0, gt=0, description="first pause where a place can't be reached")
    retry_at_most: float = Field(60.0, gt=0, description="longest pause between two tries")
    park_after: float = Field(
        86400.0, gt=0, description="of failing, then it is left until something changes"
    )
    longest: float = Field(120.0, gt=0, description="one place may take to be brought up to date")
    lease: float = Field(15.0, gt=0, description="until another process shows for one that died")
    lanes: int = Field(
        128, ge=1, description="channels and accounts that are written to at the same time"
    )


class Catchup(Section):
    """What hosts failed to deliver; works where their API may be asked (`github.token`, …)."""

    sweep: bool = Field(True, description="fetch deliveries that a host could not make")
    reconcile: bool = Field(
        True, description="find branches and tags that have moved without any webhook"
    )
    every: float = Field(300.0, gt=0, description="seconds between two rounds")
    grace: float = Field(90.0, ge=0, description="seconds that a webhook may take")
    hourly: float = Field(1200.0, gt=0, description="requests to the hosts an hour, at most")
