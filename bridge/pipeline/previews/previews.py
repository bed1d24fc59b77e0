"""Previews: bring each in line with its pull request, whatever was missed.

A report only says that a pull request may have changed. Each look compares what is wanted with what
there is and takes the next step, so it does not matter how often or in which order reports come.
"""

import asyncio
import logging
import math
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.backoff import Backoff, asked_to_wait
from bridge.core.decision import Policy
from bridge.core.errors import BridgeError, TooEarly
from bridge.core.events import Repository
from bridge.core.policies import PreviewPolicy
from bridge.core.previews.preview import (
    Preview,
    PreviewState,
    host_name,
    marker_of,
    model_id,
    rules_mark,
)
from bridge.core.previews.verdict import (
    HOLDS,
    Aim,
    Step,
    Verdict,
    Why,
    aim,
    by_files,
    why_pinned,
    without_files,
)
from bridge.core.pulls import PullRequest
from bridge.pipeline.background import PATIENCE, Lanes, Turn, all_ended, at_once
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.previews.apps import PreviewApps
from bridge.ports.clock import Clock
from bridge.ports.githosts import ChangeSet, HostApi, ListsPulls
from bridge.ports.previews import Lane, Previewed, Previews, Reported

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Previews of a lane that are looked at together."""

POLL = 1.0
"""Seconds between two looks at the journal; another process may have heard of a pull request."""

NEXT_PLACE = 10.0
"""Seconds between two looks whether there is what a preview waits for: a place, or an address."""

RETRY = Backoff(2.0, 300.0)
"""Pauses after a step failed."""

TROUBLE = "previews can't be looked at"

LAG_TRIES = 3
"""Readings of a pull request that may be older than its webhook."""

REMEMBERED = 1000
"""Pull requests whose verdict by their files is remembered."""


@runtime_checkable
class FollowsPulls(HostApi, ListsPulls, Protocol):
    """A host whose pull requests can be followed."""


NO_FILES = ChangeSet(None, "no credential is set with which its files could be read")


@dataclass(eq=False)
class PreviewKeeper:
    """Brings previews in line with their pull requests.

    Attributes:
        decisions: how watch paths are read.
        limit: the most previews of all apps at a time.
    """

    journal: Previews
    catalog: Catalog
    apps: PreviewApps
    apis: Mapping[str, HostApi]
    clock: Clock
    decisions: Policy
    _: KW_ONLY
    limit: int
    turn: Turn = at_once
    poll: float = POLL
    patience: float = PATIENCE
    _places: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _by_files: OrderedDict[tuple[Any, ...], Verdict] = field(
        default_factory=OrderedDict, init=False
    )
    _seen_apps: tuple[App, ...] | None = field(default=None, init=False)
    _lanes: Lanes[Lane] = field(init=False)

    def __post_init__(self) -> None:
        self._lanes = Lanes[Lane](TROUBLE, self.look, self.clock, RETRY, self.patience)

    async def run(self) -> None:
        await self._lanes.run()

    async def report(
        self, repository: Repository, pull: PullRequest, read_at: float | None = None
    ) -> bool:
        """Record what a host says of a pull request; return whether a preview depends on it.

        If the backend makes an app's previews by itself, that is the reason for none of ours.

        Args:
            read_at: see `Reported`.
        """
        of_repository = [
            app for app in self.catalog.of(repository) if app.previewed or app.native_previews
        ]
        every = self.catalog.all() if of_repository else ()
        there = {app.marker: app.id for app in every if app.marker}
        apps = [
            Previewed(
                *(app.id, app.label, app.backend),
                made=there.get(marker_of(repository, pull.number, app.id)),
            )
            for app in of_repository
        ]
        reported = replace(self._reported(repository, pull), read_at=read_at)
        if depends := await self.journal.report_previews(reported, apps):
            self.wake()
        return depends

    async def adopt(self, repository: Repository, pull: PullRequest, made: App) -> None:
        """Record a pull request whose preview's app is there, though no record of it is."""
        model = self.catalog.get(model_id(made.marker))
        label = made.label if model is None else model.label
        app = Previewed(model_id(made.marker), label, made.backend, made=made.id)
        await self.journal.report_previews(self._reported(repository, pull), [app])
        self.wake()

    def _reported(self, repository: Repository, pull: PullRequest) -> Reported:
        api = self.apis.get(repository.host)
        key = repository.id if api is None else api.key(repository)
        return Reported(key, repository, pull)

    def wake(self) -> None:
        self._lanes.wake()

    async def look(self) -> float:
        """Look at everything that is due; return the seconds until the next round."""
        await self.turn()
        await self.catalog.ready.wait()  # else every app would seem to be gone
        await self._heed_rules()
        return await self._lanes.keep_up(self._next_at, self._look_at_some, self.poll)

    async def _next_at(self) -> Mapping[Lane, float]:
        return await self.journal.previews_due(self.clock() + self.poll)

    async def _look_at_some(self, lane: Lane) -> None:
        by_app: dict[str, list[Preview]] = defaultdict(list)
        for one in await self.journal.due_previews(self.clock(), AT_ONCE, lane):
            by_app[one.app_id].append(one)
        await all_ended(*map(self._look_in_turn, by_app.values()))

    async def _heed_rules(self) -> None:
        """Have previews looked at whose app or rules have changed since, also by a restart."""
        apps = self.catalog.all()
        if apps == self._seen_apps:
            return
        for app_id, known in (await self.journal.rules_of_previews()).items():
            rules = self._rules(self.catalog.get(app_id))
            if known != {rules}:
                await self.journal.look_at_previews(app_id, rules)
        self._seen_apps = apps

    def _rules(self, app: App | None) -> str:
        return rules_mark(app, self.decisions)

    async def _look_in_turn(self, those: Sequence[Preview]) -> None:
        for one in those:
            await self._look(one)

    async def _look(self, preview: Preview) -> None:
        try:
            facts = await self._step(preview)
        except BridgeError as error:
            failures = preview.failures + 1
            pause = max(RETRY.pause(failures), asked_to_wait(error) or 0.0)
            why = str(error)
            log.warning("a preview can't go on", extra={"preview": preview.label, "why": why})
            facts = {"note": why, "failures": failures, "look_at": self.clock() + pause}
        except Exception:  # a bug, which must not keep the others from their turn
            failures = preview.failures + 1
            log.exception("a preview can't go on", extra={"preview": preview.label})
            facts = {"failures": failures, "look_at": self.clock() + RETRY.pause(failures)}
        else:
            facts = {"failures": 0} | facts
        await self.journal.change_preview(preview, **facts)

    async def _step(self, preview: Preview) -> dict[str, Any]:
        """Take the next step; return what is to be recorded of it."""
        app = self.catalog.get(preview.app_id)
        policy = None if app is None else app.rules.previews
        rules = self._rules(app)
        verdict = await self._verdict(preview, app, policy)
        found = aim(preview, verdict, policy, self.clock())
        said = {"reason": found.verdict.why, "note": found.verdict.evidence, "rules": rules}
        if found.verdict.wanted:
            await self.apps.show(preview)
        if found.verdict.why is Why.APPROVAL:
            assert app is not None
            assert policy is not None
            if (why := self._missing(preview, app, policy)) is not None:
                return _held(preview, Why.CANNOT_BUILD, why, self.clock() + RETRY.longest)
            said["note"] += self.apps.warning(preview, policy)
        if found.step is Step.END:
            return await self._end(preview, said, again=found.verdict.wanted)
        if found.step is Step.BRING_UP or (found.runs and preview.rules != rules):
            assert app is not None
            assert policy is not None
            if preview.asked != preview.pull.head_sha and not await self._is_as_told(preview):
                return said
            return said | await self._bring_up(preview, app, policy)
        return said | self._at_rest(preview, found, policy)

    async def _is_as_told(self, preview: Preview) -> bool:
        """Return whether the host describes a pull request as we know it; else record how it does.

        Whoever has the secret of a webhook can say of a fork's commit that it is the repository's
        own. Without a credential only branches of the repository are built.

        Raises:
            BridgeError: the host can't be asked, or does not know the newest yet.
        """
        api, now = self.apis.get(preview.host), self.clock()
        if not isinstance(api, FollowsPulls):
            return True
        known, told = preview.pull, await api.pull_request(preview.key, preview.number)
        if replace(told, updated_at=known.updated_at) == known:
            return True
        earlier = (told.updated_at or now) < math.floor(known.updated_at or 0.0)
        if earlier and preview.failures < LAG_TRIES:
            raise TooEarly(preview.host, f"it describes #{preview.number} as it was before")
        await self.report(preview.repository, told, now)
        return False

    def _missing(self, preview: Preview, app: App, policy: PreviewPolicy) -> str | None:
        """Return why a preview can't be built; None if it can, as far as is known."""
        what, api = why_pinned(preview.pull, policy), self.apis.get(preview.host)
        if what is not None and not isinstance(api, FollowsPulls):
            return f"{what} is built only once {preview.host} was asked about it: set a credential"
        return self.apps.missing(preview, app, policy)

    async def _bring_up(self, preview: Preview, app: App, policy: PreviewPolicy) -> dict[str, Any]:
        if (why := self._missing(preview, app, policy)) is not None:
            return _held(preview, Why.CANNOT_BUILD, why, self.clock() + RETRY.longest)
        async with self._places:
            if (why := await self._address_taken(preview, app, policy)) is not None:
                return _held(preview, Why.CANNOT_BUILD, why, self.clock() + NEXT_PLACE)
            if not preview.takes_a_place:
                if (why := await self._no_room(preview, policy)) is not None:
                    return _held(preview, Why.LIMIT, why, self.clock() + NEXT_PLACE)
                await self.journal.change_preview(preview, state=PreviewState.MAKING)
        await self.apps.bring_up(preview, app, policy)
        log.info("a preview is up", extra={"preview": preview.label})
        return {
            "state": PreviewState.UP,
            "asked": preview.pull.head_sha,
            "look_at": preview.active_at + policy.idle,
        }

    async def _end(self, preview: Preview, said: dict[str, Any], *, again: bool) -> dict[str, Any]:
        """Go on with the end of a preview; `again`: it is wanted again, so it begins anew then."""
        await self.journal.change_preview(preview, state=PreviewState.ENDING, **said)
        if (unfinished := await self.apps.end(preview)) is not None:
            note = f"{said['note']}; {unfinished.why}"
            return said | {"note": note, "look_at": self.clock() + unfinished.pause}
        log.info("a preview has ended", extra={"preview": preview.label, "why": said["note"]})
        gone = {"made": None, "asked": None, "url": None, "branch": None}
        look_at = self.clock() if again else None
        return said | gone | {"state": _over(preview), "look_at": look_at}

    def _at_rest(
        self, preview: Preview, found: Aim, policy: PreviewPolicy | None
    ) -> dict[str, Any]:
        if not found.verdict.wanted:
            return {"state": _over(preview), "look_at": None}
        assert policy is not None
        idle_at = preview.active_at + policy.idle
        if found.verdict.why in HOLDS:
            return {
                "state": _state_of_held(preview),
                "look_at": idle_at if preview.takes_a_place else None,
            }
        return {"state": PreviewState.UP, "look_at": idle_at}

    async def _verdict(
        self, preview: Preview, app: App | None, policy: PreviewPolicy | None
    ) -> Verdict:
        """Return whether the pull request is to have a preview of the app."""
        pull = preview.pull
        if app is None:
            return Verdict(Why.NO_PREVIEWS, f"{preview.app} is gone")
        repository = preview.repository
        if (found := without_files(pull, app, repository, policy, self.decisions)) is not None:
            return found
        about = (preview.id, pull.head_sha, pull.base, app.watched)
        if about not in self._by_files:
            files = await self._files(preview) if app.watched else NO_FILES
            verdict = by_files(pull, app, repository, files.paths, files.note, self.decisions)
            self._by_files[about] = verdict
            while len(self._by_files) > REMEMBERED:
                self._by_files.popitem(last=False)
        return self._by_files[about]

    async def _files(self, preview: Preview) -> ChangeSet:
        api = self.apis.get(preview.host)
        if not isinstance(api, FollowsPulls):
            return NO_FILES
        return await api.pull_files(preview.key, preview.pull.number)

    async def _address_taken(self, preview: Preview, app: App, policy: PreviewPolicy) -> str | None:
        """Return why a preview can't be at the address of its rule; None if it can.

        Backends accept the same address for two apps, and then serve one of them.
        """
        if policy.host is None:
            return None
        host = host_name(policy.host, app, preview.number)
        for one in await self.journal.previews(limit=None):
            if preview.gives_way_to(one) and host in (one.host_name, self._host_name(one)):
                return (
                    f"{host} is the address of {one.label} already: give each app another"
                    " pattern, e.g. with {app} and {project}"
                )
        return None

    def _host_name(self, preview: Preview) -> str | None:
        """Return the host name that a preview has by its app's rule, or gets next."""
        app = self.catalog.get(preview.app_id)
        policy = None if app is None else app.rules.previews
        if app is None or policy is None or policy.host is None:
            return None
        return host_name(policy.host, app, preview.number)

    async def _no_room(self, preview: Preview, policy: PreviewPolicy) -> str | None:
        """Return why there is no place for another preview; None if there is one."""
        taken = await self.journal.places_taken()
        if (why := self._full(preview, policy, taken)) is not None:
            return why
        earlier = [
            one
            for one in await self.journal.previews(limit=None)
            if one.reason == Why.LIMIT and one.created_at < preview.created_at
        ]
        for one in reversed(earlier):  # the oldest first; who waits for another limit takes none
            app = self.catalog.get(one.app_id)
            theirs = None if app is None else app.rules.previews
            if theirs is not None and self._full(one, theirs, taken) is None:
                taken[one.app_id] = taken.get(one.app_id, 0) + 1
        return self._full(preview, policy, taken)

    def _full(
        self, preview: Preview, policy: PreviewPolicy, taken: Mapping[str, int]
    ) -> str | None:
        """Return which limit is reached, so that a preview has to wait; None if none is."""
        if taken.get(preview.app_id, 0) >= policy.limit:
            return f"{preview.app} has {policy.limit} previews already, the limit of its rule"
        if sum(taken.values()) >= self.limit:
            return f"there are {self.limit} previews already, the limit of all apps together"
        return None


def _state_of_held(preview: Preview) -> PreviewState:
    """Return the state of one that is held; an app that may have been made is not forgotten."""
    may_be_there = preview.takes_a_place and preview.made is None
    return preview.state if may_be_there else PreviewState.HELD


def _held(preview: Preview, why: Why, note: str, look_at: float) -> dict[str, Any]:
    """Return that something is missing; the rules still have to be applied once it is there."""
    held = {"state": _state_of_held(preview), "reason": why, "note": note}
    return held | {"look_at": look_at, "rules": preview.rules}


def _over(preview: Preview) -> PreviewState:
    """Return the state of a preview of which there is nothing."""
    return PreviewState.SKIPPED if preview.pull.open else PreviewState.ENDED
