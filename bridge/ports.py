"""The doors between the journey and the world: small Protocols and the records that pass them.

Adapters implement these; the journey knows nothing else of them. What only some
adapters can do is a capability of its own (`Configures`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bridge.core.configuration import BuildType, Environment, ProviderSettings
from bridge.core.events import Event
from bridge.core.watch import App

Clock = Callable[[], float]
"""Seconds since 1970; injected, so that tests own the time."""

Wake = Callable[[], None]
"""Tells a later step that there is something to do; may be called from the event loop only."""


# ── Git hosts ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers of a webhook say, before its body is read.

    Attributes:
        id: the host's own delivery id; None when it sends none, then the body makes one.
        event: e.g. "push" or "Tag Push Hook", as the host names it.
        proof: what `GitHost.verify` needs; never logged or kept.
        headers: the few headers that the parser needs later, names in lower case.
    """

    id: str | None
    event: str
    proof: tuple[str, ...]
    headers: Mapping[str, str]


class GitHost(Protocol):
    """A Git host's webhooks: authentic or not, and what they mean. Does no I/O."""

    name: str

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        """Read the headers, before the body.

        Raises:
            Rejected: a header that must be there is missing.
            BadSignature: the signature can't be right, whatever the body.
        """

    def verify(self, envelope: Envelope, body: bytes) -> None:
        """Check the signature over the raw bytes; raises BadSignature."""

    def parse(self, event: str, headers: Mapping[str, str], body: bytes) -> Event:
        """Say what a delivery means; `Ignored` with its reason where it is nothing of ours.

        Raises:
            MalformedPayload: the body is not what the host sends.
        """


# ── Deliveries (the inbox) ───────────────────────────────────────────────────


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    KEPT = "kept"
    DECIDED = "decided"
    IGNORED = "ignored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery before it is kept; `headers` and `body` are all that its parser will see."""

    host: str
    id: str
    event: str
    headers: Mapping[str, str]
    body: bytes
    received_at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """A kept delivery and how far it has come.

    Attributes:
        seq: position in the inbox; greater is newer.
        attempts: how often it was tried; `error` is the last reason it did not work.
        body: None in listings.
    """

    seq: int
    host: str
    id: str
    event: str
    headers: Mapping[str, str]
    received_at: float
    state: DeliveryState
    attempts: int = 0
    error: str | None = None
    body: bytes | None = None


# ── Backends ─────────────────────────────────────────────────────────────────


class Progress(StrEnum):
    """A deployment's status in the backend's own words."""

    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class BackendDeployment:
    """One record of the backend's deployment history.

    Attributes:
        title, description: ours while it runs; a Git deploy overwrites them at its end with
            the commit message and `Commit: <sha>` (facts.md).
        created_at, started_at, finished_at: seconds since 1970.
        commit: the deployed commit, read from the description, once the backend has told.
    """

    id: str
    title: str
    description: str
    status: Progress
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    error: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that waits or is active in the backend's queue."""

    app: str
    title: str
    description: str
    active: bool


class Backend(Protocol):
    """What the journey needs of a deploy backend.

    Every method raises `Refused` (the backend said no), `Unreachable` (nothing was asked)
    or `Unanswered` (it may have been).
    """

    name: str

    async def apps(self) -> list[App]:
        """Every application and compose stack that the key may see, with its source."""

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        """Ask for a deployment of the head of the app's branch; returns once accepted."""

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        """Ask to build the existing checkout again; fetches nothing."""

    async def deployments(self, app: App) -> list[BackendDeployment]:
        """The app's newest deployments (about ten), newest first."""

    async def queue(self) -> list[QueuedJob] | None:
        """What waits and runs; None where the backend is too old to tell."""

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        """The last lines of a deployment's log; "" where the backend can't tell."""

    async def drop_waiting(self, app: App) -> None:
        """Drop what waits for this app in the backend's queue; what runs goes on."""

    async def cancel(self, app: App) -> str:
        """Cancel the running deployment; returns the backend's words. Refused when self-hosted."""

    async def version(self) -> str | None:
        """E.g. "v0.30.2"; None where it does not tell."""

    async def healthy(self) -> bool:
        """Whether it answers at all; never raises."""

    async def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class Configures(Protocol):
    """A backend whose apps can be configured; each call is sent as it is, nothing is merged."""

    async def save_provider(self, app: App, settings: ProviderSettings) -> None:
        """Set where the app's code comes from."""

    async def disconnect_provider(self, app: App) -> None:
        """Forget the app's source."""

    async def save_build_type(self, app: App, settings: BuildType) -> None:
        """Set how it is built."""

    async def save_environment(self, app: App, settings: Environment) -> None:
        """Set its environment, build arguments and build secrets."""

    async def clear_deployments(self, app: App) -> None:
        """Remove old deployments' logs."""
