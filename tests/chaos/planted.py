"""Bugs on purpose: each removes one safeguard of a promise, and a ledger must notice.

`process.py` plants them into the bridge's processes from outside; the product knows nothing of
them. `CHAOS_FAULT` selects one; `test_proof.py` has the ledger line that it must turn red.
"""

import asyncio
import itertools
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

FAULT = "CHAOS_FAULT"
"""Names the bug to plant in a process."""

LATER = 0.3
"""Seconds until a promise is recorded; a shorter delay is noticed less often."""


def plant() -> None:
    """Plant the bug that the environment names."""
    if name := os.environ.pop(FAULT, ""):
        FAULTS[name]()


def _put(where: Any, name: str, what: Any) -> Any:
    """Replace an attribute, which must exist; return the old value."""
    before = getattr(where, name)
    setattr(where, name, what)
    return before


async def _nothing(*_: Any) -> None:
    """Found, or done."""


# ── deliveries ───────────────────────────────────────────────────────────────


def answered_before_it_is_kept() -> None:
    from bridge.ports.inbox import Kept
    from bridge.storage.inbox.batches import BatchedInbox, Keep
    from bridge.storage.inbox.reading import delivery_key

    def put(inbox: Any, new: Any) -> asyncio.Future[Kept]:
        loop = asyncio.get_running_loop()
        done, kept = loop.create_future(), loop.create_future()
        item = Keep(new, delivery_key(new.host, new.id), kept)
        loop.call_later(LATER, inbox._queue.put, item)
        done.set_result(Kept(0, duplicate=False))
        return done

    _put(BatchedInbox, "put", put)


def delivery_ids_are_not_looked_at() -> None:
    from bridge.storage.inbox import batches

    _put(batches, "delivery_key", lambda *_: secrets.token_bytes(16))


def same_push_of_two_webhooks_is_not_recognised() -> None:
    """Nor superseded, which would mostly hide the double deployment."""
    from bridge.storage.journal import pushes, transitions

    _put(transitions, "makes_moot", lambda *_: False)
    _put(pushes.Pushes, "same", lambda *_: None)


def recordings_overlap() -> None:
    """Each process decides without the others' concurrent decisions."""
    from bridge.storage.journal import outcomes

    _put(outcomes, "lock", lambda *_: None)


def refused_now_and_then() -> None:
    from bridge.core.errors import Unreachable
    from bridge.pipeline.deciding.ingest import Ingest

    turn = itertools.count()

    def now_and_then(*given: Any) -> Any:
        if next(turn) % 3 == 0:
            raise Unreachable("the inbox", "a bug")
        return put(*given)

    put = _put(Ingest, "put", now_and_then)


def fails_at_the_door() -> None:
    from bridge.pipeline.deciding.ingest import Ingest

    def fails(*_: Any) -> Any:
        raise RuntimeError("a bug")

    _put(Ingest, "put", fails)


# ── decisions ────────────────────────────────────────────────────────────────


def some_are_done_without_a_decision() -> None:
    from bridge.pipeline.deciding.decide import done
    from bridge.pipeline.deciding.deliveries import Deliveries
    from bridge.ports.inbox import DeliveryState

    async def some(deliveries: Any, batch: Any) -> Any:
        dropped = [done(one, DeliveryState.DECIDED) for one in batch if one.seq % 3 == 0]
        return dropped + await decide(deliveries, [one for one in batch if one.seq % 3])

    decide = _put(Deliveries, "_decide", some)


def done_before_it_is_decided() -> None:
    from bridge.pipeline.deciding.decide import done
    from bridge.pipeline.deciding.deliveries import Deliveries
    from bridge.ports.inbox import DeliveryState

    tasks = set[Any]()

    async def later(deliveries: Any, batch: Any) -> None:
        await asyncio.sleep(LATER)
        await decide(deliveries, batch)

    async def too_early(deliveries: Any, batch: Any) -> Any:
        task = asyncio.create_task(later(deliveries, batch))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return [done(one, DeliveryState.DECIDED) for one in batch]

    decide = _put(Deliveries, "_decide", too_early)


def every_file_concerns_every_app() -> None:
    from bridge.core import decision

    _put(decision, "_paths", lambda *_: (decision.Reason.PATH_HIT, "a bug"))


def apps_as_they_were() -> None:
    """An app's triggers are not reread before a push is skipped."""
    from bridge.pipeline.deciding.freshness import Freshness

    _put(Freshness, "_needed", lambda *_: {})


# ── deployments ──────────────────────────────────────────────────────────────


def no_turns_of_an_app() -> None:
    from bridge.durable.engine import DurableFlows

    async def beside(flows: Any, flow: str, id_: str, key: str, name: str) -> None:
        await enqueue(flows, flow, id_, f"{key}.{name}", name)

    enqueue = _put(DurableFlows, "_enqueue", beside)


async def _sees_nothing(*_: Any, **__: Any) -> Any:
    """A search that finds nothing at the backend."""
    from bridge.pipeline.deploying.polling import Look

    return Look()


def asks_again_blindly() -> None:
    """Neither searches for its request, nor recognises its own mark before a new request."""
    from bridge.pipeline.deploying import request

    _put(request.Asker, "_found", _sees_nothing)
    _put(request, "marked", lambda *_: False)


def asks_again_for_the_dead() -> None:
    from bridge.pipeline.deploying import request

    _put(request, "_Attempt", partial(request._Attempt, may_be_there=False))


def gives_up_without_an_answer() -> None:
    from bridge.pipeline.deploying.polling import BackendPoller
    from bridge.pipeline.deploying.request import Asker

    _put(Asker, "_found", _sees_nothing)
    _put(BackendPoller, "tells_queue", _nothing)


def refused_key_is_a_no() -> None:
    """Also while the backend's database is away, when it refuses every key."""
    from bridge.backends.dokploy.http import Http
    from bridge.core.errors import Refused

    def refused(http: Any, _verdict: Any) -> Refused:
        return Refused(http._service, "a bug", status=401)

    _put(Http, "_refused_key", refused)


def tokens_come_again() -> None:
    """One for each app, instead of one for each deployment."""
    from bridge.core.lifecycle import app_of
    from bridge.pipeline.deciding import interpret

    token_for: Any = _put(interpret, "token_for", lambda _salt, id_: token_for("", app_of(id_)))


def newest_goes_first() -> None:
    """A waiting deployment is not superseded, but comes later."""
    from bridge.core.lifecycle import State
    from bridge.pipeline.deploying.deployments import Deployer
    from bridge.storage.journal import transitions

    async def newest(deployer: Any, steps: Any, id_: str) -> None:
        mine = await deployer._journal.deployment(id_)
        waiting = [
            one
            for one in await deployer._journal.open_deployments()
            if one.app_id == mine.app_id and one.state is State.WAITING
        ]
        last = max(waiting, key=lambda one: one.seq, default=mine)
        await run(deployer, steps, last.id)

    _put(transitions, "makes_moot", lambda *_: False)
    run = _put(Deployer, "run", newest)


def what_goes_on_is_enough() -> None:
    """A newer push is superseded by a deployment that already waits or runs."""
    import sqlalchemy as sa

    from bridge.core.lifecycle import FINAL, State
    from bridge.storage import tables
    from bridge.storage.journal import transitions
    from bridge.storage.journal.transitions import deployment_row

    t = tables.deployments

    def oldest(db: Any, new: Any, now: float) -> None:
        of_app = (t.c.app_id == new.app_id) & t.c.state.not_in(FINAL)
        if (first := db.scalar(sa.select(t.c.id).where(of_app).limit(1))) is None:
            add(db, new, now)
            return
        facts = transitions._superseded(first, "is older")
        new = replace(new, state=State.SUPERSEDED, finished_at=now, **facts)
        db.execute(sa.insert(t), [deployment_row(new)])
        transitions.add_line(db, new, now)

    add = _put(transitions, "add_deployment", oldest)


def nobody_takes_over() -> None:
    from bridge.durable.peers import Peers

    _put(Peers, "_look", _nothing)


def intents_are_not_judged() -> None:
    """The gates are looked at only before a slot, and not once more with the intent."""
    from bridge.storage.journal import deployments
    from bridge.storage.journal.deployment_rows import IF_IN_LINE, change, locked
    from bridge.storage.journal.transitions import cancelled_here, needless

    def intend(db: Any, id_: str, facts: Any, _by: Any, at: float) -> Any:
        found = locked(db, id_, IF_IN_LINE)
        if found is None or needless(db, found, at, cancelled_here(found)) is not None:
            return None
        return change(db, id_, facts)

    _put(deployments, "intend", intend)


# ── claims ───────────────────────────────────────────────────────────────────


def intents_are_requests() -> None:
    """A deployment that was only intended when the process died counts as requested."""
    from bridge.pipeline.deploying.polling import BackendPoller, _Followed

    async def sure(poller: Any, *given: Any, **facts: Any) -> Any:
        followed = _Followed(0.0, listed=True, early=False)
        return await look_into(poller, *given[:4], followed, **facts)

    look_into = _put(BackendPoller, "_look_into", sure)


def doubtful_records_are_ours() -> None:
    """A possible person's record is taken for the bridge's own."""
    from bridge.core.tracking import Match
    from bridge.pipeline.deploying import polling

    def matched(*given: Any, **facts: Any) -> Any:
        found = match(*given, **facts)
        return Match(found.doubtful[-1]) if found.doubtful else found

    match = _put(polling, "match", matched)


def records_of_before_are_taken() -> None:
    """The oldest record, whether or not it ended earlier."""
    from bridge.core.tracking import Match
    from bridge.pipeline.deploying import polling

    def matched(deployment: Any, records: Any, **facts: Any) -> Any:
        return Match(records[-1]) if records else match(deployment, records, **facts)

    match = _put(polling, "match", matched)


def failed_is_unknown() -> None:
    from bridge.core.lifecycle import State
    from bridge.pipeline.deploying.outcome import Ending

    async def unknown(ending: Any, deployment: Any, _app: Any, _record: Any, facts: Any) -> None:
        await ending.end(deployment.id, State.UNKNOWN, "a bug", **facts)

    _put(Ending, "_failed", unknown)


def failed_is_cancelled() -> None:
    from bridge.core.lifecycle import State
    from bridge.pipeline.deploying.outcome import Ending

    async def cancelled(ending: Any, deployment: Any, _app: Any, _record: Any, facts: Any) -> None:
        await ending.end(deployment.id, State.CANCELLED, "a bug", **facts)

    _put(Ending, "_failed", cancelled)


def last_line_is_the_reason() -> None:
    from bridge.core.failure import Failure
    from bridge.core.tracking import CLOSING
    from bridge.pipeline.deploying import outcome

    async def closing(*_: Any) -> Failure:
        return Failure(CLOSING)

    _put(outcome, "why_failed", closing)


def emptied_is_lost() -> None:
    """A job that a person removed from the queue is requested again."""
    from bridge.pipeline.deploying.outcome import Ending

    _put(Ending, "dropped", Ending.lost)


def stuck_is_lost() -> None:
    """A finished build whose record still says `running` is requested again."""
    from bridge.pipeline.deploying.outcome import Ending

    async def lost(ending: Any, deployment: Any, *_: Any) -> None:
        await ending.lost(deployment)

    _put(Ending, "unclosed", lost)


# ── what is shown ────────────────────────────────────────────────────────────


def comments_are_not_looked_for() -> None:
    from bridge.githosts.feedback.comment_posts import CommentWriter

    _put(CommentWriter, "find", _nothing)


def objects_are_not_looked_for() -> None:
    from bridge.githosts.github.api import Github

    _put(Github, "find_deployment", _nothing)


def cards_are_not_looked_for() -> None:
    from bridge.chats.slack.posts import Posts

    _put(Posts, "find", _nothing)


def statuses_are_left_out() -> None:
    from bridge.githosts.feedback.publishers import StatusPublisher

    async def publish(*_: Any) -> tuple[()]:
        return ()

    _put(StatusPublisher, "publish", publish)


def nothing_is_remembered() -> None:
    """Cards forget their place; the search for pull requests would never end."""
    from bridge.storage.journal import outbox

    def forgets(db: Any, target: str, *given: Any, **more: Any) -> Any:
        return target.startswith("slack.card") or save_cursor(db, target, *given, **more)

    save_cursor = _put(outbox, "save_cursor", forgets)


def everybody_shows() -> None:
    """All processes hold the lease, in the journal too."""
    from bridge.storage.journal import outbox
    from bridge.storage.journal.notes import Notes

    async def hold(*_: Any) -> bool:
        return True

    _put(Notes, "hold", hold)
    _put(outbox, "held", lambda *_: True)


def changes_are_not_shown() -> None:
    from bridge.storage.journal import outbox

    _put(outbox, "mark_pending", lambda *_: None)


# ── what serves ──────────────────────────────────────────────────────────────


def any_newer_deployment_ends_the_watch() -> None:
    """Also one that a gate holds, or that will fail."""
    from bridge.pipeline.deploying.watch import Watching

    async def newer(watching: Any, deployment: Any, app: Any) -> str | None:
        known = await watching.journal.deployments(limit=1, app_id=app.id)
        if known and known[0].seq > deployment.seq:
            return "a newer deployment has come"
        found: str | None = await replaced(watching, deployment, app)
        return found

    replaced = _put(Watching, "_replaced", newer)


def the_way_back_is_only_announced() -> None:
    from bridge.pipeline.deploying.auto_rollback import GoingBack

    _put(GoingBack, "ask", _nothing)


def verdicts_are_not_told_apart() -> None:
    """It goes back to the version before, whatever was found of that one."""
    from bridge.core.health import rollback

    def before(turns: Any, served: Any) -> list[Any]:
        built = [one.by for one in turns if one.by is one.made]
        return [one for one in built if not rollback.Version.of(one).same_as(served)]

    _put(rollback, "_candidates", before)
    _put(rollback, "_judged", lambda *_: True)


def the_own_way_back_replaces_pushes() -> None:
    """As a person's rollback does."""
    from bridge.storage.journal import transitions

    def replaces(newer: Any, older: Any) -> bool:
        return bool(newer.back_from) or makes_moot(newer, older)

    makes_moot: Callable[[Any, Any], bool] = _put(transitions, "makes_moot", replaces)


def what_was_shown_stays() -> None:
    """What shows a version is not marked once another one is live."""
    from bridge.storage.journal import shown

    _put(shown, "last_shown", lambda *_: [])


def nobody_looks_at_the_backend() -> None:
    """So what people deploy there is never noticed."""
    from bridge.pipeline.deploying.serving import ServingReconciler

    _put(ServingReconciler, "_do", _nothing)


# ── previews ─────────────────────────────────────────────────────────────────


def sweeps_tell_nothing() -> None:
    """They read the pull requests all the same."""
    from bridge.pipeline.previews.sweep import PreviewSweep

    _put(PreviewSweep, "_report", _nothing)


def ended_previews_are_only_forgotten() -> None:
    from bridge.pipeline.previews.apps import PreviewApps

    _put(PreviewApps, "end", _nothing)


def apps_of_ours_are_not_looked_for() -> None:
    """A push makes another one, beside the one that is there."""
    from bridge.backends.dokploy.own_apps import Making
    from bridge.pipeline.previews.apps import PreviewApps

    known = set[str]()

    def fresh(making: Any, marker: str, project: Any) -> Any:
        apps = [app for app in making._ours_in(project) if app.marker == marker]
        found = next((app for app in apps if app.id not in known), None) if known else None
        known.update({app.id for app in apps} or {""})
        return found

    _put(Making, "_with", fresh)
    _put(PreviewApps, "_remove_others", _nothing)


def builds_are_not_waited_for() -> None:
    """Nor is looked after what they leave behind."""
    from bridge.pipeline.previews.apps import PreviewApps

    _put(PreviewApps, "_unfinished", _nothing)
    _put(PreviewApps, "_looked_after", _nothing)


def pushes_do_not_count() -> None:
    """A request to deploy is for the app, whatever is pushed."""
    from bridge.pipeline.previews import apps as preview_apps

    _put(preview_apps, "_request", lambda made, _push: f"{made.id}@1")


FAULTS: dict[str, Callable[[], None]] = {
    fault.__name__: fault
    for fault in (
        answered_before_it_is_kept,
        delivery_ids_are_not_looked_at,
        same_push_of_two_webhooks_is_not_recognised,
        recordings_overlap,
        refused_now_and_then,
        fails_at_the_door,
        some_are_done_without_a_decision,
        done_before_it_is_decided,
        every_file_concerns_every_app,
        apps_as_they_were,
        no_turns_of_an_app,
        asks_again_blindly,
        asks_again_for_the_dead,
        gives_up_without_an_answer,
        refused_key_is_a_no,
        tokens_come_again,
        intents_are_not_judged,
        intents_are_requests,
        doubtful_records_are_ours,
        records_of_before_are_taken,
        failed_is_unknown,
        failed_is_cancelled,
        last_line_is_the_reason,
        emptied_is_lost,
        stuck_is_lost,
        nobody_takes_over,
        newest_goes_first,
        what_goes_on_is_enough,
        comments_are_not_looked_for,
        objects_are_not_looked_for,
        cards_are_not_looked_for,
        statuses_are_left_out,
        nothing_is_remembered,
        everybody_shows,
        changes_are_not_shown,
        any_newer_deployment_ends_the_watch,
        the_way_back_is_only_announced,
        verdicts_are_not_told_apart,
        the_own_way_back_replaces_pushes,
        what_was_shown_stays,
        nobody_looks_at_the_backend,
        sweeps_tell_nothing,
        ended_previews_are_only_forgotten,
        apps_of_ours_are_not_looked_for,
        builds_are_not_waited_for,
        pushes_do_not_count,
    )
}
