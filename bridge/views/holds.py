"""What is said about held deployments: what holds them, and what lets them pass."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.gates.approvals import Approval
from bridge.core.holds import Gate, Hold, Proposal, proposal_in, warnings_in
from bridge.core.lifecycle import Deployment, State
from bridge.core.masking import redact
from bridge.views.deployments import APP_NAME, about, first_line
from bridge.views.values import (
    Code,
    Commit,
    Compared,
    Icon,
    Moment,
    Phrase,
    Sentence,
    Strong,
    Text,
    iso,
    joined,
)
from bridge.views.view import Ask, Column, Item, Lines, Row, Table, View

SAYS, REASON, MESSAGE, PERSON, PATH = 200, 500, 120, 60, 80
"""Characters of what a hold says, a reason, a commit's first line, a name, and a path."""

MOST_HOLDS = 30
MOST_FILES = 20
MOST_NAMED = 5


# ── what programs get ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class HoldData:
    """A reason to hold a deployment; `until` as ISO 8601."""

    gate: str
    reason: str
    until: str | None
    may_lift: str
    warning: str | None

    @classmethod
    def of(cls, hold: Hold) -> "HoldData":
        """Return what programs get of a hold."""
        may_lift = str(hold.may_lift)
        return cls(str(hold.gate), hold.says, iso(hold.until), may_lift, hold.warns or None)


@dataclass(frozen=True, slots=True)
class ProposalData:
    """What an approval would be for, without anybody's address; see `Proposal`."""

    commit: str
    message: str
    author: str
    live: str | None
    changed: int | None
    files: tuple[str, ...]

    @classmethod
    def of(cls, proposal: Proposal) -> "ProposalData":
        """Return what programs get of a proposal."""
        return cls(**{name: getattr(proposal, name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class HeldData:
    """A held deployment; `held_at` as ISO 8601."""

    id: str
    app: str
    app_id: str
    commit: str | None
    held_at: str | None
    holds: tuple[HoldData, ...]
    to_approve: ProposalData | None

    @classmethod
    def of(cls, held: Deployment) -> "HeldData":
        """Return what programs get of a held deployment."""
        proposal = proposal_in(held.holds)
        return cls(
            *(held.id, held.app, held.app_id, held.head or held.commit, iso(held.held_at)),
            tuple(map(HoldData.of, held.holds)),
            None if proposal is None else ProposalData.of(proposal),
        )


@dataclass(frozen=True, slots=True)
class Approved:
    """An approved commit.

    Attributes:
        new: False if the person had approved it, or what is the same for the app, before.
        given: the names of all whose approvals count.
        missing: how many more are needed.
    """

    app: str
    commit: str
    new: bool
    given: tuple[str, ...]
    missing: int


# ── all that is held ──────────────────────────────────────────────────────────────────────────────


def held_list(those: Sequence[Deployment]) -> View:
    """List held deployments, with every open reason."""
    data = [HeldData.of(one) for one in those]
    if not those:
        return View(("Nothing is held",), Icon.WELL, data=data, empty=True)
    columns = [
        Column("#"),
        Column("app"),
        Column("held", said="held"),
        Column("until", said="until"),
        Column("why", long=True),
    ]
    return View((f"{len(those)} held",), parts=[Table(columns, list(map(_row, those)))], data=data)


def _row(held: Deployment) -> Row:
    ends = [hold.until for hold in held.holds]
    until = max((at for at in ends if at is not None), default=None)
    return Row(
        (
            (str(held.seq),),
            (_app(held),),
            () if held.held_at is None else (Moment(held.held_at, since=True),),
            () if until is None or None in ends else (Moment(until),),
            (Text("; ".join(hold.says for hold in held.holds), REASON),),
        ),
        held.state,
    )


def first_hold(held: Deployment | None) -> list[Item]:
    """Return the first of what holds a deployment, for a list; none if nothing does."""
    if held is None or held.state is not State.HELD or not held.holds:
        return []
    item, more = hold_item(held.holds[0]), len(held.holds) - 1
    return [Item((*item.says, f"  ·  and {more} more"), item.sign) if more else item]


def proposed(held: Deployment, app: App) -> list[Lines]:
    """Return what somebody would approve; none unless the deployment waits for that."""
    proposal = proposal_in(held.holds) if held.state is State.HELD else None
    if proposal is None:
        return []
    says, files = _changes(app, proposal)
    return [Lines("To approve", [Item(_commit_line(app, proposal)), Item(says)]), *files]


def holding(held: Deployment) -> list[Lines]:
    """Return all that holds a deployment, and which right lifts it; none if nothing does."""
    return [_holds("", held.holds)] if held.state is State.HELD and held.holds else []


# ── approvals ─────────────────────────────────────────────────────────────────────────────────────


def approval_asked(app: App, held: Deployment, proposal: Proposal, approve: Call) -> View:
    """Show the commit that would be approved, and what it brings."""
    head = (_app(held), " would build ", *_commit_line(app, proposal))
    says, parts = _changes(app, proposal)
    waits = [one for one in held.holds if one.gate is Gate.APPROVAL]
    return View(
        head,
        Gate.APPROVAL,
        says=[says],
        notes=[(Sentence(one.says, REASON),) for one in waits],
        parts=parts,
        data=HeldData.of(held),
        asks=Ask(approve, f"Approve {proposal.commit[:7]} of {app.label}?", "Approve"),
    )


def _commit_line(app: App, proposal: Proposal) -> Phrase:
    """Return a commit that would be built, with its message and its author."""
    message = first_line(proposal.message)
    says: Phrase = (" ", Text(message, MESSAGE)) if message else ()
    by: Phrase = (", by ", Text(proposal.author, PERSON)) if proposal.author else ()
    return (Commit(proposal.commit, app), *says, *by)


def _changes(app: App, proposal: Proposal) -> tuple[Phrase, list[Lines]]:
    """Return what would change, and the files."""
    live = proposal.live
    if live is None and proposal.since == 0:
        return ("Nothing is live yet.",), []
    if live is None:
        return ("What is live is not known, so its changes can't be listed.",), []
    differs = Compared(app, live, proposal.commit, proposal.count)
    says = (differs, " since ", Commit(live, app), ", which is live")
    files = [Item((Code(Text(one, PATH)),)) for one in proposal.files[:MOST_FILES]]
    more = proposal.beyond(len(files))
    return says, [Lines("Files", files, more)] if files else []


def approved(
    app: App,
    held: Deployment,
    commit: str,
    given: Sequence[Approval],
    *,
    new: bool,
) -> View:
    """Say that a commit is approved, by whom, and what still holds it.

    Args:
        given: all approvals that count.
        new: False if the person had approved it before.
    """
    about: Phrase = (Commit(commit, app), " of ", _app(held))
    head: Phrase = ("You approved ", *about)
    if not new:
        head = ("You had approved ", *about, " already: nothing changed")
    missing = max(0, (app.rules.approvals or 0) - len(given))
    if missing:
        head = (*head, f"; {missing} more to go")
    by = ", ".join(one.name[:PERSON] for one in given[:MOST_NAMED])
    others = [one for one in held.holds if one.gate is not Gate.APPROVAL]
    return View(
        head,
        Icon.WELL if new else Icon.NOTE,
        notes=[("Approved by ", Text(by, MOST_NAMED * PERSON))] if by else [],
        parts=[_holds("Still held", others)] if others else [],
        data=Approved(app.label, commit, new, tuple(one.name for one in given), missing),
    )


# ── what people let pass ──────────────────────────────────────────────────────────────────────────


def override_asked(held: Deployment, override: Call, *, more: bool = False) -> View:
    """Show what holds a deployment, before somebody lets it pass.

    Args:
        more: the person agreed to fewer reasons than hold it by now.
    """
    later = ("Something else holds it by now. Nothing was done.",)
    return View(
        about(held, " is held"),
        Icon.WARN if more else held.state,
        says=[later] if more else [],
        notes=[("The reason stays in its history and in the audit log, with your name.",)],
        parts=[_holds("What holds it", held.holds)],
        data=HeldData.of(held),
        warns=_warnings(held.holds),
        asks=Ask(override, f"Deploy {held.app} all the same?", "Deploy anyway"),
    )


def overridden(held: Deployment, reason: str) -> View:
    """Say that a deployment passes what held it."""
    return View(
        (_app(held), " deploys in spite of what held it"),
        Icon.GO,
        says=[("Why: ", Text(redact(reason), REASON))],
        parts=[Lines("Lifted", [hold_item(one) for one in held.holds[:MOST_HOLDS]])],
        data=HeldData.of(held),
        warns=_warnings(held.holds),
        public=True,
    )


def _holds(title: str, holds: Sequence[Hold]) -> Lines:
    shown = [hold_item(one, f"lifted by {one.may_lift}") for one in holds[:MOST_HOLDS]]
    return Lines(title, shown, len(holds[MOST_HOLDS:]))


def hold_item(hold: Hold, lifts: str = "") -> Item:
    """Return a reason and until when it holds; `lifts`: what ends it sooner."""
    what: list[Phrase] = [(Sentence(hold.says, SAYS),)]
    if hold.until is not None:
        what.append(("until ", Moment(hold.until)))
    if lifts:
        what.append((lifts,))
    return Item(joined(*what), hold.gate)


def _warnings(holds: Sequence[Hold]) -> list[Phrase]:
    return [(Sentence(redact(one), SAYS),) for one in warnings_in(holds)]


def _app(held: Deployment) -> Strong:
    return Strong(Text(held.app, APP_NAME))
