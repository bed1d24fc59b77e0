"""Whose approvals count: n approvals are n people, none of whom wrote or asked for it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.apps import App, Trigger
from bridge.core.decision import Policy, first_watched
from bridge.core.holds import Gate, Proposal
from bridge.core.matching import GlobError
from bridge.core.people import Identities, Marks, address, comparable, example, services_of

Asker = tuple[str, ...]
"""The marks of who has asked for a deployment, their account first; () for a push."""

MOST_APPROVED = 3
"""Approved commits, newest first, that are compared with the one that would be built."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's approval of one commit of an app.

    Attributes:
        person: e.g. "slack:U012AB3CD".
        email: theirs, verified; "" if unknown.
        accounts: what else their service calls them, e.g. "github:#583231".
        judged: it was given when it counted; else before people were told apart.
    """

    app_id: str
    commit: str
    person: str
    name: str
    email: str
    at: float
    accounts: tuple[str, ...] = ()
    judged: bool = True

    @property
    def marks(self) -> Marks:
        """The marks by which they are known; see `core.people`."""
        return frozenset({self.person, *address(self.email), *self.accounts})


def approved(approvals: Sequence[Approval], commit: str) -> list[str]:
    """Return the other approved commits, newest first, that may be the same for the app."""
    newest = sorted(approvals, key=lambda one: one.at, reverse=True)
    return list(dict.fromkeys(one.commit for one in newest if one.commit != commit))[:MOST_APPROVED]


def approval_key(commit: str) -> str:
    """Return the key of the hold that approvals of a commit open."""
    return f"{Gate.APPROVAL}:{commit}"


class Objection(StrEnum):
    """Why somebody's approval does not count."""

    ASKED = "they asked for it"
    WROTE = "they wrote or pushed some of it"
    AUTHORS = "who wrote it is not known"
    UNRECOGNISED = "who they are at the Git host is not known"
    ASKER = "they can't be told from whoever asked for it"


UNREAD = "who wrote it is not read yet"

OWN = frozenset({Objection.ASKED, Objection.WROTE})
"""Nobody approves what they have asked for, or have written."""

RECOGNISING = frozenset({Objection.UNRECOGNISED, Objection.ASKER})
"""An entry of `identities` would tell who somebody is."""


def objection(
    approval: Approval, asker: Asker, of: Proposal, identities: Identities
) -> Objection | None:
    """Return why an approval can't count, whatever it is for; None if it can.

    Whoever was shown another commit that is the same for the app has not written that one: what
    they have pushed since are other files.
    """
    marks = identities.of(approval.marks)
    asking = identities.of(asker)
    shown = approval.commit == of.commit
    if not marks.isdisjoint(asking):
        return Objection.ASKED
    if shown and not marks.isdisjoint(of.authors):
        return Objection.WROTE
    if of.anyone:
        return None
    if (shown and of.unknown) or not of.by:
        return Objection.AUTHORS
    if not services_of(marks).issuperset(of.by):
        return Objection.UNRECOGNISED
    if asking and not comparable(marks, asking):
        return Objection.ASKER
    return None


def not_counted(
    approvals: Sequence[Approval], asker: Asker, of: Proposal, identities: Identities
) -> str:
    """Return which approvals don't count for whose they are, and what would make them count."""
    why = {one: objection(one, asker, of, identities) for one in approvals}
    own = sorted(one.name for one in approvals if why[one] in OWN)
    said = [f"nobody approves their own: {', '.join(own)}"] if own else []
    said += [
        remedy(found, one, asker, of, identities)
        for one, found in why.items()
        if found in RECOGNISING
    ]
    unread = UNREAD if approvals and not of.by else ""
    if not of.anyone and (unknown := of.unknown or unread):
        said.insert(0, unknown)
    return "".join(f"; {one}" for one in dict.fromkeys(said))


def remedy(
    why: Objection, approval: Approval, asker: Asker, of: Proposal, identities: Identities
) -> str:
    """Return what would make it certain that somebody is not whoever asked, or an author."""
    account = asker[0] if why is Objection.ASKER else approval.person
    marks = identities.of(asker if why is Objection.ASKER else approval.marks)
    lacking = [one for one in of.by if one not in services_of(marks)]
    return (
        f"{account} is not recognised, since no account on {' and '.join(lacking)} of theirs is"
        f" known: name both in `identities`, {example(account, lacking)}"
    )


def counting(
    approvals: Iterable[Approval], asker: Asker, of: Proposal, identities: Identities
) -> list[Approval]:
    """Return the approvals that count, one for each person."""
    people: list[tuple[Marks, Approval]] = []
    for one in approvals:
        if not counts(one, asker, of, identities):
            continue
        marks = identities.of(one.marks)
        same = [other for other, _ in people if not other.isdisjoint(marks)]
        people = [pair for pair in people if pair[0] not in same]
        people.append((marks.union(*same), one))
    return [one for _, one in people]


def counts(approval: Approval, asker: Asker, of: Proposal, identities: Identities) -> bool:
    """Return whether an approval counts: of the same for the app, and by somebody else.

    An approval is for what comes next. Once something else is live, it does not let the app go back
    to what it was for.
    """
    if approval.commit not in (of.commit, *(of.same if approval.judged else ())):
        return False
    if objection(approval, asker, of, identities) is not None:
        return False
    if of.changed == 0:
        return True
    return approval.commit == of.commit if of.since is None else approval.at >= of.since


# ── whether two commits are the same for an app ──────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Content:
    """A commit beside the one that would be built, as far as they concern one app.

    Attributes:
        same: whether no watched file differs; None if they can't be compared.
        why: the watched file that differs, or why they can't be compared.
        again_at: when to compare them again; None if that would not help.
    """

    same: bool | None
    why: str = ""
    again_at: float | None = None


SAME = Content(True)

WHOLE = Content(False)
"""Another commit of an app that every push deploys."""

NOT_YET = "they have not been compared yet"

Compared = Mapping[tuple[str, str], Content]
"""Commits beside the one that would be built, by app id and commit."""

NO_COMPARED: Compared = {}


def at_once(app: App, commit: str, head: str) -> Content | None:
    """Return what two commits are for an app, if that needs no comparison."""
    if commit == head:
        return SAME
    watches = app.waits_for is Trigger.PUSH and bool(app.watched)
    return None if watches else WHOLE


def content_of(app: App, paths: Sequence[str] | None, note: str, policy: Policy) -> Content:
    """Return what two commits are for an app.

    Args:
        paths: the files that differ; None if they are not known, for the reason in `note`.
    """
    if paths is None:
        return Content(None, note)
    found = first_watched(app, paths, policy)
    if isinstance(found, GlobError):
        return Content(None, str(found))
    return SAME if found is None else Content(False, f"{found.file} differs")


def watched_of(app: App, paths: Iterable[str], policy: Policy) -> list[str]:
    """Return the files that an app watches among some; all of them if its paths are broken."""
    if at_once(app, "", "?") is WHOLE:
        return list(paths)
    return [path for path in paths if first_watched(app, (path,), policy) is not None]
