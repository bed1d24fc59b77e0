"""What came in: webhooks and people's requests, what was decided, and what became of it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

from bridge.core.decision import Reason
from bridge.core.errors import Ambiguous, NotFound, Rejected
from bridge.core.events import ASKING_HOSTS
from bridge.core.lifecycle import State
from bridge.core.log_text import short_branch
from bridge.operations.arguments import DeliveryName, Limit, OfApp, after, moment_of
from bridge.operations.base import Context, Door, Kind, operation
from bridge.operations.reading import LOOK, PAGE, owed_by, remarks_of, troubles
from bridge.views.decisions import DECIDED, decision_form, decision_row
from bridge.views.deployment_lists import became, deployment_form
from bridge.views.deployments import NOTE
from bridge.views.refused import refused_list
from bridge.views.values import Code, Icon, Mark, Moment, Phrase, Text, iso, joined
from bridge.views.view import Column, Facts, Item, Lines, Log, Row, Table, View

if TYPE_CHECKING:
    from bridge.core.lifecycle import Deployment
    from bridge.pipeline.deciding.arrivals import Arrived, Wanted
    from bridge.ports.inbox import Delivery
    from bridge.ports.outcomes import About

ID, SHORT_ID = 100, 13
"""Characters of a delivery's id: the most, and those of a table."""

MOST_OUTCOMES = 12
"""Lines of what became of one delivery, in a list in a chat."""

# ── arguments ─────────────────────────────────────────────────────────────────────────────────────


def _since(text: str, ctx: Context) -> float:
    return moment_of(text, ctx.desk.clock())


def _repository(text: str, _: Context) -> str:
    if not text.strip(" /"):
        raise Rejected("--repo is empty; give a repository's name, e.g. --repo my-org/mono")
    return text


def _flag(option: str, says: str, **more: Any) -> Kind:
    return Kind("", lambda text, _: text, says, "", option, flag=True, **more)


WHEN = "Only since then: 30m, 2h, 3d, 1w, or 2026-01-31, or 2026-01-31T12:00."
ONLY_OF, REPO = "Only of this repository.", "repo my-org/mono"

Failed = Annotated[bool, _flag("failed", "Only those that failed, or had a failed deployment.")]
Refused = Annotated[bool, _flag("refused", "Refused webhooks: wrong secret, path or form.")]
Since = Annotated[
    float | None, Kind("WHEN", _since, WHEN, "since 2h", "since", takes=after("since"))
]
Repository = Annotated[
    str | None,
    Kind("NAME", _repository, ONLY_OF, REPO, "repo", takes=after("repo"), completes="repository"),
]
Body = Annotated[bool, _flag("body", "Print only its body.", only=Door.COMMAND_LINE)]

# ── the operations ────────────────────────────────────────────────────────────────────────────────


@operation(
    "deliveries",
    family=LOOK,
    lists=True,
    examples=(
        "deliveries --refused",
        "deliveries --failed --since 2h",
        "deliveries --repo my-org/mono --limit 50",
        "deliveries --app shop/web --json",
    ),
)
async def deliveries(
    ctx: Context,
    failed: Failed = False,
    refused: Refused = False,
    since: Since = None,
    repo: Repository = None,
    app: OfApp = None,
    limit: Limit = 20,
) -> View:
    """List what came in, newest first, with the outcome.

    Refused webhooks are for those who may view every app.
    """
    from bridge.pipeline.deciding.arrivals import Wanted

    if refused and (failed or repo is not None or app is not None):
        raise Rejected(
            "nothing about a refused webhook can be trusted: --refused takes only"
            " --since, --limit and --json"
        )
    if refused:
        return await refused_webhooks(ctx, limit, since)
    found = await _arrived(ctx, Wanted(limit, since, repo, app.app.id if app else None, failed))
    remarks = [*remarks_of(app), *await troubles(ctx, [] if app is None else [app.app])]
    if not found:
        narrowed = bool(since or repo or app or failed)
        why = await _none_fits(ctx, repo) if narrowed else _none_yet(ctx)
        suspects = ctx.desk.suspects if ctx.sees() else None
        parts: list[Lines] = [] if suspects is None else await suspects.of(None)
        return View((Text(why, NOTE),), parts=parts, data=[], empty=True, remarks=remarks)
    more: Phrase = (f"the newest {limit}; a higher limit shows more",)
    return View(
        ("What came in",),
        parts=[Table(COLUMNS, list(map(_row, found)), ("What came in",))],
        data=list(map(arrived_form, found)),
        remarks=remarks,
        hints=[more] if len(found) == limit else [],
    )


async def refused_webhooks(ctx: Context, limit: int, since: float | None = None) -> View:
    """List refused webhooks; raise Rejected for those who may not view every app."""
    if not ctx.sees():
        raise Rejected("Refused webhooks are shown to those who may view every app.")
    names = await ctx.desk.journal.repositories()
    return refused_list(await ctx.desk.journal.refused(limit=limit, since=since), names)


@operation(
    "deliveries show",
    family=LOOK,
    examples=("deliveries show 72d3162e", "deliveries show 72d3162e --body > push.json"),
)
async def show_delivery(ctx: Context, delivery: DeliveryName, body: Body = False) -> View:
    """Show one delivery: headers, decisions, deployments."""
    found = await arrived_named(ctx, delivery)
    if body:
        text = (found.delivery.body or b"").decode(errors="surrogateescape")
        return View((), parts=[Log(text.split("\n"), exact=True)], data=text)
    headers = found.delivery.headers
    return _shown(found, headers if ctx.by is not None else shown_headers(headers))


# ── who may see what ──────────────────────────────────────────────────────────────────────────────


async def _arrived(ctx: Context, wanted: "Wanted") -> "list[Arrived]":
    """Return the newest deliveries that match, and that they may see."""
    from bridge.pipeline.deciding.arrivals import look_up

    inbox, journal = ctx.desk.inbox, ctx.desk.journal
    if ctx.sees():
        return await _seen(ctx, await look_up(inbox, journal, wanted))
    found: list[Arrived] = []
    while page := await look_up(inbox, journal, replace(wanted, limit=PAGE)):
        found += await _seen(ctx, page)
        if len(found) >= wanted.limit:
            break
        wanted = replace(wanted, before=page[-1].seq)
    return found[: wanted.limit]


async def _seen(ctx: Context, found: "list[Delivery]") -> "list[Arrived]":
    """Return deliveries with what they may see of them, without those of which that is nothing."""
    from bridge.pipeline.deciding.arrivals import collected

    desk, sees = ctx.desk, None if ctx.sees() else await ctx.viewable()
    those = await collected(desk.inbox, desk.journal, found, desk.reading, sees)
    if sees is None:
        return those
    backends = {app.backend for app in ctx.seen()}
    return [
        replace(one, owed={name: at for name, at in one.owed.items() if name in backends})
        for one in those
    ]


async def arrived_named(ctx: Context, name: str) -> "Arrived":
    """Return the delivery of a name, if they may see it; raise as `delivery_named`."""
    for one in await _seen(ctx, [await delivery_named(ctx, name)]):
        return one
    raise _unknown(ctx, name)


async def delivery_named(ctx: Context, name: str) -> "Delivery":
    """Return the delivery with an id, the start of it or a number, whoever may see it.

    Raises:
        NotFound, Ambiguous: none or several match.
    """
    from bridge.pipeline.deciding.arrivals import find_delivery

    hosts = (*ctx.desk.hosts, *sorted(ASKING_HOSTS))
    try:
        return await find_delivery(ctx.desk.inbox, hosts, name)
    except NotFound as error:
        if isinstance(error, Ambiguous) and ctx.sees():
            raise
        raise _unknown(ctx, name) from None


def _unknown(ctx: Context, name: str) -> NotFound:
    return NotFound(f"there is no delivery {name!r}; {ctx.typed('deliveries')} lists them")


# ── why there is none ─────────────────────────────────────────────────────────────────────────────


def _none_yet(ctx: Context) -> str:
    if not ctx.sees():
        return "nothing that you may see has come in yet"
    paths = " or ".join(f"/hooks/{host}" for host in ctx.desk.hosts)
    return (
        f"nothing has come in yet; a webhook must lead to {paths} of a bridge that runs"
        " (`dokploy-bridge serve`)"
    )


async def _none_fits(ctx: Context, repo: str | None) -> str:
    """Return why nothing is listed; whoever sees every app is told of repositories like that."""
    from bridge.pipeline.deciding.arrivals import keys_of

    if repo is not None and ctx.sees():
        names = sorted(set((await ctx.desk.journal.repositories()).values()))
        if not keys_of(repo, dict(zip(names, names, strict=True))):
            near = get_close_matches(repo, names, n=3, cutoff=0.5) or names[:3]
            asked = f"; did you mean {' or '.join(near)}?" if near else ""
            return f"nothing has come from a repository {repo!r}{asked}"
    return "no delivery matches"


# ── for programs ──────────────────────────────────────────────────────────────────────────────────


def arrived_form(one: "Arrived") -> dict[str, Any]:
    """Return a delivery with its subject, its decisions and its outcome."""
    delivery, about = one.delivery, one.about
    ref = about.ref if about else None
    branch = ref.removeprefix("refs/heads/") if ref and ref.startswith("refs/heads/") else None
    form: dict[str, Any] = {
        "id": delivery.id,
        "seq": delivery.seq,
        "host": delivery.host,
        "event": delivery.event,
        "state": str(delivery.state),
        "received_at": iso(delivery.received_at),
        "repository": about and about.repository,
        "ref": ref,
        "branch": branch,
        "commit": about and about.commit,
        "author": (about and about.author) or None,
        "attempts": delivery.attempts,
        "error": delivery.error,
        "decisions": [
            decision_form(decision) | {"deployment": _brief(one.deployments.get(decision.app_id))}
            for decision in one.decisions
        ],
    }
    return form | {"owed": sorted(one.owed)} if one.owed else form


def _brief(deployment: "Deployment | None") -> dict[str, Any] | None:
    """Return a deployment's state; `deployments` has the rest."""
    if deployment is None:
        return None
    from bridge.core.health.fate import as_told

    note = as_told(deployment)
    return {"id": deployment.id, "state": str(deployment.state), "note": note}


# ── in words ──────────────────────────────────────────────────────────────────────────────────────

ASKED_FOR = frozenset({Reason.CANCEL_ASKED, Reason.CANCEL_ONE_ASKED, Reason.CONFIGURE_ASKED})
"""Reasons of people's other requests; their evidence names the requester."""


def about_words(about: "About | None", *, short: bool = False) -> str:
    """E.g. `my-org/mono main@13dfa1f by Ada`; "" if nothing is known.

    Args:
        short: shorten a long branch in the middle.
    """
    if about is None:
        return ""
    ref = about.ref.removeprefix("refs/heads/").removeprefix("refs/")
    ref = short_branch(ref) if short else ref
    by = f"by {about.author}" if about.author else ""
    what = f"{ref}@{about.commit[:7]}" if about.commit.strip("0") else f"{ref} deleted"
    return " ".join(one for one in (about.repository, what, by) if one)


def outcomes_of(one: "Arrived", *, short: bool = False) -> list[Item]:
    """Return a delivery's outcome: a few words for each app that deploys, and for all others."""
    if one.delivery.error:
        sign = State.FAILED if one.delivery.state == "failed" else Icon.SKIP
        return [Item((Text(one.delivery.error, NOTE),), sign)]
    lines: list[Item] = []
    for decision in one.decisions:
        if decision.deploy:
            deployment = one.deployments.get(decision.app_id)
            ended = f" {became(deployment, short=short)}" if deployment else ""
            sign = deployment.state if deployment else Icon.GO
            words = f"deploys {decision.app} ({decision.reason}){ended}"
            lines.append(Item((Text(words, NOTE),), sign))
        elif decision.reason in ASKED_FOR:
            lines.append(Item((Text(f"{decision.app}: {decision.evidence}", NOTE),)))
    skipped = [one for one in one.decisions if not one.deploy and one.reason not in ASKED_FOR]
    if len(skipped) == 1:
        words = f"skips {skipped[0].app} ({skipped[0].reason})"
        lines.append(Item((Text(words, NOTE),), Icon.SKIP))
    elif skipped:
        lines.append(Item((f"skips {len(skipped)} apps",), Icon.SKIP))
    return lines + list(map(Item, owed_by(one.owed)))


def _cell(one: Item) -> Phrase:
    return one.says if one.sign is None else (Mark(one.sign), *one.says)


COLUMNS = (
    *map(Column, ("received", "id", "event")),
    *(Column(one, long=True) for one in ("push", "outcome")),
)


def _row(one: "Arrived") -> Row:
    delivery, at = one.delivery, Moment(one.delivery.received_at, since=True)
    id_ = delivery.id if len(delivery.id) <= SHORT_ID else f"{delivery.id[: SHORT_ID - 1]}…"
    event, push = (
        Text(f"{delivery.host} {delivery.event}", NOTE),
        about_words(one.about, short=True),
    )
    outcomes, state = outcomes_of(one, short=True), str(delivery.state)
    lines = outcomes or [Item((state,))]
    whole = [piece for each in outcomes_of(one) for piece in ("; ", *each.says)]
    about: Phrase = (" ", Text(words, NOTE)) if (words := about_words(one.about)) else ()
    head = joined((Code(Text(id_, ID)),), (event,), (at,), (state,) if outcomes else ())
    shown = lines[:MOST_OUTCOMES]
    more = len(lines) - len(shown)
    return Row(
        (
            (at,),
            (Text(id_, ID),),
            (event,),
            (Text(push, NOTE),) if push else (),
            tuple(piece for each in lines for piece in ("\n", *_cell(each)))[1:],
        ),
        line=(
            *(at, f" {delivery.id} ", event, f" {state}", *about),
            *((": ", *whole[1:]) if whole else ()),
        ),
        says=[
            head,
            (Text(push, NOTE),) if push else (),
            *shown,
            (f"and {more} more",) if more else (),
        ],
    )


def _shown(one: "Arrived", headers: Mapping[str, str]) -> View:
    delivery, about = one.delivery, about_words(one.about)
    owed = [piece for each in owed_by(one.owed) for piece in ("; ", *each)]
    facts: list[tuple[str, Phrase]] = [
        ("delivery", (Text(delivery.id, ID),)),
        ("number", (str(delivery.seq),)),
        ("host", (delivery.host,)),
        ("event", (Text(delivery.event, ID),)),
        ("received", (iso(delivery.received_at) or "",)),
        ("push", (Text(about, NOTE),) if about else ()),
        ("state", (str(delivery.state),)),
        ("attempts", (str(delivery.attempts),) if delivery.attempts else ()),
        ("error", (Text(delivery.error, NOTE),) if delivery.error else ()),
        ("owed", tuple(owed[1:])),
    ]
    said = [(f"header {name}", (Text(value, NOTE),)) for name, value in headers.items()]
    rows = [decision_row(each, one.deployments.get(each.app_id)) for each in one.decisions]
    made = [deployment_form(each) for each in one.deployments.values()]
    return View(
        ("Delivery ", Code(Text(delivery.id, ID))),
        parts=[
            Facts([(name, value) for name, value in facts if value]),
            *([Facts(said)] if said else []),
            *([Table(DECIDED, rows)] if rows else []),
        ],
        data=arrived_form(one) | {"headers": dict(headers), "deployments": made},
    )


# ── without secrets and e-mail addresses ──────────────────────────────────────────────────────────

HIDDEN = "[hidden]"

is_secret = re.compile(
    r"token|secret|signature|password|passwd|api[_-]?key|authorization|cookie|credential|private",
    re.IGNORECASE,
).search
"""Matches the name of what authenticates."""

_EMAIL = re.compile(r"[\w.+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the kept headers; those that authenticate are hidden."""
    return {
        name: HIDDEN if is_secret(name) else without_addresses(value)
        for name, value in headers.items()
    }


def without_addresses(text: str) -> str:
    """Return text with its e-mail addresses hidden."""
    return _EMAIL.sub(HIDDEN, text)
