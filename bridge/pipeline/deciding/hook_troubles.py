"""Webhooks that lead here and that their Git host has disabled, or can't deliver.

Catching up reads the webhooks of every repository that apps deploy from. What is wrong with them is
kept in the journal, so that every process can show it without asking a host.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bridge.core.hooks import is_ours
from bridge.ports.clock import Clock
from bridge.ports.githosts import Hook, Sending
from bridge.ports.journal import Notes

log = logging.getLogger(__name__)

NOTED = "webhook troubles"
"""The key of the journal's note."""

LASTS = 24 * 3600.0
"""Seconds for which a report counts that the host has not repeated."""

MOST = 100
"""The most that are kept: where a proxy is down, all webhooks fail."""


@dataclass(frozen=True, slots=True)
class HookTrouble:
    """A webhook that does not arrive.

    Attributes:
        repository: the one whose pushes it reports; of a webhook for several, the first.
        hook: its number at the host.
        why: what the host says, for people.
        failed: its last delivery failed; otherwise the host sends nothing.
        at: when that delivery was sent, or when the host said so last, in seconds since 1970.
    """

    host: str
    repository: str
    hook: str
    why: str
    failed: bool
    at: float

    @property
    def says(self) -> str:
        """The trouble in one sentence."""
        return f"webhook {self.hook} of {self.repository} at {self.host}: {self.why}"


async def hook_troubles(journal: Notes, now: float) -> list[HookTrouble]:
    """Return what hosts have lately reported, newest first; at most `MOST`."""
    return [one for one in await _stored(journal) if one.at > now - LASTS]


class HookTroubles:
    """Keeps what each look at a repository's webhooks finds."""

    def __init__(self, journal: Notes, clock: Clock, public_url: str | None = None) -> None:
        """Take the parts; with `public_url`, webhooks of another bridge are left out."""
        self._journal = journal
        self._clock = clock
        self._public_url = public_url
        self._known: list[HookTrouble] = []

    async def begin(self) -> None:
        """Take up what is known, also from another process."""
        self._known = [one for one in await _stored(self._journal) if one.at > self._old]

    async def note(
        self, host: str, repository: str, seen: Sequence[tuple[Hook, Sending | None]]
    ) -> None:
        """Replace what is known of a repository's webhooks.

        Args:
            seen: those that lead here, each with its newest delivery if the host has listed any.
        """
        before = [one for one in self._known if (one.host, one.repository) == (host, repository)]
        by_hook = {one.hook: one for one in before}
        found = []
        for hook, last in seen:
            known = by_hook.get(hook.id)
            one = self._trouble(host, repository, hook, last, known)
            if one is None:
                continue
            found.append(one)
            if known is None or known.why != one.why:
                about = {"hook": f"{host} {repository} webhook {hook.id}", "why": one.why}
                log.warning("the host reports that a webhook is not delivered", extra=about)
        if found or before:
            every = found + [one for one in self._known if one not in before]
            self._known = sorted(every, key=lambda one: -one.at)[:MOST]
            text = json.dumps([asdict(one) for one in self._known])
            await self._journal.note(NOTED, text)

    def _trouble(
        self,
        host: str,
        repository: str,
        hook: Hook,
        last: Sending | None,
        known: HookTrouble | None,
    ) -> HookTrouble | None:
        if self._public_url and hook.url and not is_ours(hook.url, self._public_url):
            return None
        now = self._clock()
        if hook.trouble is not None:
            return HookTrouble(host, repository, hook.id, hook.trouble, failed=False, at=now)
        if last is None:  # nothing was sent since the last look
            return known if known is not None and known.failed else None
        at = now if last.at is None else last.at
        if last.answered or at <= self._old:
            return None
        why = f"its last delivery was not accepted: {last.words or 'no answer'}"
        return HookTrouble(host, repository, hook.id, why, failed=True, at=at)

    @property
    def _old(self) -> float:
        return self._clock() - LASTS


async def _stored(journal: Notes) -> list[HookTrouble]:
    return [HookTrouble(**one) for one in json.loads(await journal.recall(NOTED) or "[]")]
