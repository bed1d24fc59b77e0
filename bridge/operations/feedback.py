"""What is published where: cards, comments, statuses; and what fails is tried again."""

import re
from typing import TYPE_CHECKING, Any

from bridge.core.errors import Ambiguous, NotFound, Rejected
from bridge.core.log_text import cut, harmless
from bridge.operations.arguments import AllFailing, FeedbackName, Limit, OnlyFailing
from bridge.operations.base import Context, operation
from bridge.operations.reading import LOOK
from bridge.views.values import Moment, Phrase, Text, iso, many
from bridge.views.view import Column, Row, Table, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.ports.feedback import Pending

SEARCHED = 10_000
"""The number of failing subscriptions to search for the start of an id."""

ERROR, LONGEST_ID, WHOLE_ID = 500, 44, 400
"""Characters of an error, of an id as it is listed, and of a whole one."""


@operation("feedback", family=LOOK, lists=True, examples=("feedback --failing",))
async def feedback(ctx: Context, failing: OnlyFailing = False, limit: Limit = 20) -> View:
    """List what is published where, newest first, and what fails: cards, comments, statuses."""
    _must_see_all(ctx)
    found = await ctx.desk.journal.feedback(limit=limit, failing=failing)
    return listed(found, "nothing fails" if failing else ctx.desk.none_shown)


@operation(
    "feedback retry",
    family=LOOK,
    acts=True,
    recorded=True,
    examples=("feedback retry --all",),
)
async def retry(ctx: Context, target: FeedbackName = None, every: AllFailing = False) -> View:
    """Retry at once what fails or is parked, without waiting for its turn or a change."""
    _must_see_all(ctx)
    if every == (target is not None):
        raise Rejected(f"name one: an id from {ctx.typed('feedback --failing')}, or use --all")
    id_ = None if target is None else await _failing_named(ctx, target)
    tried = await ctx.desk.journal.retry_feedback(id_)
    if tried:
        from bridge.pipeline.audit import record

        about, at = id_ or "all that fail", ctx.desk.clock()
        await record(ctx.desk.journal, ctx.actor.by, "feedback retry", about, at=at)
    head = f"{tried} to be shown again" if tried else "nothing fails"
    return View((head,), data={"retried": tried})


def _must_see_all(ctx: Context) -> None:
    """Raise NotFound for those who may not view every app: it tells of places, not of apps."""
    if not ctx.sees():
        raise NotFound("What is shown elsewhere is for those who may view every app")


async def _failing_named(ctx: Context, name: str) -> str:
    """Return the id of what fails, given whole, its start, or as it is listed.

    Raises:
        NotFound, Ambiguous: none or several match.
    """
    journal = ctx.desk.journal
    failing = await journal.feedback(limit=SEARCHED, failing=True)
    fits = _fitting([one.subscription.id for one in failing], name)
    if len(fits) == 1:
        return fits[0]
    if fits:
        some = ", ".join(map(shrunk, fits[:3]))
        raise Ambiguous(f"{name!r} fits {len(fits)} that fail: {some}; give more of the id")
    shown = await journal.feedback(limit=SEARCHED)
    if _fitting([one.subscription.id for one in shown], name):
        raise NotFound(f"{name!r} does not fail, so there is nothing to retry")
    lists = ctx.typed("feedback --failing")
    raise NotFound(f"nothing is shown by the id {name!r}; {lists} lists what can be retried")


def _fitting(ids: "Sequence[str]", wanted: str) -> list[str]:
    if wanted in ids:
        return [wanted]
    wanted = wanted.removesuffix("…")
    return [
        one for one in ids if wanted and (one.startswith(wanted) or shrunk(one).startswith(wanted))
    ]


_ZEROS = re.compile(r"(?<![0-9a-zA-Z.])0{4,}(?=[0-9])")
_SHA = re.compile(r"(?<![0-9a-zA-Z])([0-9a-f]{7})[0-9a-f]{33}(?![0-9a-zA-Z])")


def shrunk(id_: str) -> str:
    """Return an id for people: without leading zeros, commits in seven characters."""
    text = _SHA.sub(r"\1", _ZEROS.sub("", harmless(id_).strip()))
    return cut(text, LONGEST_ID)


# ── the list ──────────────────────────────────────────────────────────────────────────────────────

COLUMNS = (
    *map(Column, ("state", "since", "id")),
    Column("reason", long=True),
    Column("about", long=True),
)


def listed(found: "Sequence[Pending]", why_none: str) -> View:
    """List what is published, newest first."""
    data = list(map(_form, found))
    if not found:
        return View((why_none,), data=data, empty=True)
    return View(
        (many(len(found), "place"),), parts=[Table(COLUMNS, list(map(_row, found)))], data=data
    )


def _row(pending: "Pending") -> Row:
    state, id_ = _standing(pending), pending.subscription.id
    at = pending.due_at if pending.failing_since is None else pending.failing_since
    since: Phrase = () if at is None else (Moment(at, since=True),)
    error: Phrase = (Text(pending.error, ERROR),) if pending.error else ()
    about = ", ".join(map(shrunk, pending.subscription.follows[-1:]))
    return Row(
        (
            (state,),
            since,
            (Text(shrunk(id_), LONGEST_ID),),
            error,
            (Text(f"about {about}", ERROR),) if about else (),
        ),
        line=(
            *(Text(id_, WHOLE_ID), f" {state}"),
            *((" since ", *since) if since else ()),
            *((": ", *error) if error else ()),
        ),
    )


def _standing(pending: "Pending") -> str:
    if pending.parked:
        return "parked"
    if pending.error is not None:
        return "failing"
    return "shown" if pending.due_at is None else "due"


def _form(pending: "Pending") -> dict[str, Any]:
    subscription = pending.subscription
    return {
        "id": subscription.id,
        "kind": subscription.kind,
        "lane": subscription.lane,
        "place": dict(subscription.place),
        "link": pending.cursor.get("link"),
        "follows": list(subscription.follows),
        "state": _standing(pending),
        "due_at": iso(pending.due_at),
        "attempts": pending.attempts,
        "failing_since": iso(pending.failing_since),
        "error": pending.error,
    }
