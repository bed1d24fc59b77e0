"""Repositories without pushes: a webhook that is missing fails silently."""

from collections.abc import Container, Iterable, Mapping, Sequence

from bridge.chats.slack.workspace import Parts
from bridge.core.apps import App, SourceType
from bridge.ports.clock import Clock

DAY = 86_400.0
QUIET = 30 * DAY
"""Seconds without a push after which to suggest a check of the webhook."""


def silent(
    apps: Iterable[App], last: Mapping[str, float], now: float, hosts: Container[str]
) -> list[str]:
    """Return warnings about repositories that had no push for long, or never.

    Args:
        last: when the last push of an app's repository came, by the app's id.
        hosts: the Git hosts whose webhooks the bridge takes.
    """
    newest: dict[str, float | None] = {}
    for app in apps:
        source = app.source
        name = (source.repository or source.url) if source else None
        if source is None or name is None:
            continue
        if source.type is not SourceType.GIT and source.type.value not in hosts:
            continue
        if name.startswith("file:"):  # a folder of this machine, which has no host
            continue
        times = [at for at in (newest.get(name), last.get(app.id)) if at is not None]
        newest[name] = max(times, default=None)
    return [said for name, at in sorted(newest.items()) if (said := _said(name, at, now))]


def _said(name: str, at: float | None, now: float) -> str:
    if at is None:
        return f"No push to {name} has ever arrived: is its webhook set up?"
    days = int((now - at) / DAY)
    return f"No push to {name} has arrived for {days} days." if now - at > QUIET else ""


class Silence:
    """Finds repositories without pushes, from time to time."""

    FRESH = 300.0

    def __init__(self, parts: Parts, clock: Clock) -> None:
        self._parts = parts
        self._clock = clock
        self._read_at = -self.FRESH
        self._last: Mapping[str, float] = {}

    async def of(self, apps: Sequence[App]) -> list[str]:
        """Return warnings about the repositories of these apps."""
        now = self._clock()
        if now - self._read_at >= self.FRESH:
            self._last = await self._parts.journal.last_pushes()
            self._read_at = now
        return silent(apps, self._last, now, self._parts.links.hosts)
