"""Dry runs: a kept webhook with today's rules, and files against watch paths."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.console.records import GONE, Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.apps import App
from bridge.core.decision import Decision, Policy, Reason, concerns, decide
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import RefPushed
from bridge.core.matching import GlobError
from bridge.core.matching.lint import Finding, lint
from bridge.core.matching.near_miss import near_miss
from bridge.core.matching.watch_paths import Hit, WatchPaths
from bridge.core.rules import NO_TAGS
from bridge.pipeline.deciding.interpret import Later

MOST_FILES = 200
"""Files to try at a time."""

MOST_MISSES = 50
"""Apps for which the nearest miss is looked for."""


# ── a webhook with today's rules ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Compared:
    """The decision of then for an app beside that of today.

    Attributes:
        then: None if the app was not decided for; now: None if it would not be.
        miss: what came nearest today; "" if something matches.
    """

    app: str
    app_id: str
    then: Decision | None
    now: Decision | None
    miss: str = ""

    @property
    def differs(self) -> bool:
        """True if exactly one of the two decisions deploys."""
        was, would = (one is not None and one.deploy for one in (self.then, self.now))
        return was != would


async def dry_run(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """Compare the decisions for a push with those of today's rules; deploy nothing."""
    seq = asked.seq
    decisions = await records.decisions(visitor, [seq])
    if seq not in decisions:
        raise NotFound(f"There is no delivery {seq}: {GONE}.")
    then = {one.app_id: one for one in decisions[seq]}
    push = await push_of(records, seq)
    seen = [app for app in records.seen(visitor) if concerns(push, app)]
    facts = {
        "seq": seq,
        "push": push,
        "compared": await _compared(records, push, seen, then),
        "files": push.paths,
    }
    return Page("dry_run", f"Delivery {seq} with today's rules", facts)


async def push_of(records: Records, seq: int) -> RefPushed:
    """Return the push of a kept webhook; raise Rejected if it is no push."""
    found = await records.inbox.get(seq)
    if found is None:
        raise NotFound(f"There is no delivery {seq}: {GONE}.")
    if found.stored is None:
        raise Rejected("Its payload is not kept any more, so it can't be decided again.")
    (meaning,) = await records.reading.meanings([found])
    if isinstance(meaning, str):
        raise Rejected(f"It can't be read: {meaning}.")
    if isinstance(meaning, Later):
        raise Rejected(f"It can't be read yet: {meaning.why}. Try again in a minute.")
    if not isinstance(meaning.event, RefPushed):
        raise Rejected("It is no push, so there is nothing to decide.")
    return meaning.event


async def _compared(
    records: Records, push: RefPushed, seen: Sequence[App], then: Mapping[str, Decision]
) -> list[Compared]:
    tags = await records.journal.tags([app.id for app in seen if app.rules.only_newer])

    def compare() -> list[Compared]:
        """Decide anew; in a thread of its own, since a push may have very many files."""
        rows: list[Compared] = []
        for app in seen:
            now = decide(push, app, records.policy, tags=tags.get(app.id, NO_TAGS))
            missed = now.reason is Reason.NO_PATH_HIT and len(rows) < MOST_MISSES
            miss = _nearest(app, push.paths or (), records.policy) if missed else ""
            rows.append(Compared(app.label, app.id, then.get(app.id), now, miss))
        return rows

    rows = await asyncio.to_thread(compare)
    known = {app.id for app in seen}
    rows += [Compared(one.app, id_, one, None) for id_, one in then.items() if id_ not in known]
    return sorted(rows, key=lambda row: (not row.differs, row.app))


def _nearest(app: App, files: Sequence[str], policy: Policy) -> str:
    found = near_miss(app.watched, files, policy.semantics, policy.picomatch)
    return found.sentence if found else ""


# ── files against watch paths ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of trying files against an app's watch paths.

    Attributes:
        hit: what lets it deploy; None if nothing does.
        miss: what came nearest; "" if something matches.
        wrong: why the watch paths can't be used; "" if they can.
    """

    files: Sequence[str]
    hit: Hit | None = None
    miss: str = ""
    wrong: str = ""
    always: bool = False


def tried(app: App, text: str, policy: Policy) -> Tried | None:
    """Try files, one on a line, against an app's watch paths; return None without any."""
    files = [line.strip() for line in text.splitlines() if line.strip()][:MOST_FILES]
    if not files:
        return None
    if not app.watched:
        return Tried(files, always=True)
    try:
        hit = WatchPaths.compile(app.watched, policy.semantics, policy.picomatch).first_match(files)
    except GlobError as error:
        return Tried(files, wrong=str(error))
    return Tried(files, hit, "" if hit else _nearest(app, files, policy))


def findings_of(app: App, policy: Policy) -> list[Finding]:
    """Return likely mistakes in an app's watch paths."""
    return lint(app.watched, policy.semantics, policy.picomatch)
