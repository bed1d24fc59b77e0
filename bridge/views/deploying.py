"""What is said about requests to deploy: that they are kept, and what they would do."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.events import Action
from bridge.core.gates.promotion import Promotion
from bridge.core.health.rollback import Version, WayBack, version_of
from bridge.core.holds import Hold
from bridge.core.lifecycle import Deployment
from bridge.views.deployments import APP_NAME, first_line
from bridge.views.holds import HoldData
from bridge.views.values import Code, Compared, Icon, Moment, Phrase, Sentence, Strong, Text, iso
from bridge.views.view import Ask, Item, Lines, View

SAYS, MESSAGE, AUTHOR, VERSION = 500, 120, 60, 60
"""Characters of a sentence, a commit's first line, its author, and a version."""

MOST_NEWS = 10

DOING = {
    Action.DEPLOY: "Deploying",
    Action.REDEPLOY: "Redeploying",
    Action.ROLLBACK: "Rolling back",
    Action.CANCEL: "Cancelling",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that is on disk, and will be carried out.

    Attributes:
        delivery: the id of its delivery.
        target: the app's label, and `app_id` its id.
        not_before: the time for which it was asked, as ISO 8601; None for at once.
    """

    delivery: str
    action: str
    target: str
    app_id: str
    not_before: str | None = None


def kept(
    app: App,
    action: Action,
    delivery: str,
    *,
    duplicate: bool,
    channels: Sequence[str],
    trouble: str | None,
    at: float | None,
    zone: str,
) -> View:
    """Say that a request will be carried out.

    Args:
        duplicate: the very same click or command requested it a moment ago.
        channels: where it will be shown.
        trouble: why its backend can't be asked now; None if it can.
        at: the time for which it was asked, and `zone` in which that was said.
    """
    data = Kept(delivery, str(action), app.label, app.id, iso(at))
    if duplicate:
        head: Phrase = (_label(app), ": that was requested a moment ago and is kept")
        return View(head, Icon.NOTE, data=data)
    later: Phrase = () if at is None else (" at ", Moment(at, zone))
    notes: list[Phrase] = []
    if action is Action.REDEPLOY:
        notes.append(("It builds the existing checkout again, and fetches nothing.",))
    if trouble is not None:
        later = (*later, ": it waits for the backend: ", Text(trouble, SAYS))
    return View(
        (DOING[action], " ", _label(app), *later),
        notes=notes,
        data=data,
        public=True,
        shown_in=tuple(channels),
        may_be_lost=trouble is None,
    )


def nothing_to_cancel(app: App) -> View:
    """Say that nothing waits or runs, so nothing is to be done."""
    return View(("Nothing waits or runs for ", _label(app), ", so there is nothing to cancel"))


# ── what would be done ────────────────────────────────────────────────────────────────────────────


def rollback_asked(
    app: App,
    way: WayBack,
    served: Version | None,
    says: str,
    warns: Sequence[str],
    holds: Sequence[Hold],
    rollback: Call,
) -> View:
    """Show how an app would go back to an earlier version.

    Args:
        served: what it leads away from; None if that is not known.
        says: what would be done; warns: what to know before.
        holds: what would hold it now.
    """
    to = way.to
    data = {
        "app": app.label,
        "way": str(way.rung),
        "to": {"deployment": to.id, "commit": to.deployed_commit, "image": way.image},
        "from": served
        and {"deployment": served.ours.id if served.ours else None, "commit": served.commit},
        "does": says,
        "holds": list(map(HoldData.of, holds)),
        "notes": list(warns),
    }
    back = f"{app.label} goes back to {version_of(to)}."
    return View(
        (_label(app), ": ", Sentence(says, SAYS)),
        Icon.BACK,
        notes=[(Sentence(one, SAYS),) for one in warns],
        data=data,
        asks=Ask(rollback, f"Roll back {app.label}?", "Roll back", back, danger=True),
    )


def promotion_asked(found: Promotion, promote: Call, compare: str | None) -> View:
    """Show what would be promoted, and what the app does not have yet.

    Args:
        compare: the page that compares both; None if it is not known.
    """
    to, version = found.to, found.version
    has = found.served.commit if found.served else None
    data = {
        "app": to.label,
        "from": found.from_.label,
        "way": str(found.rung),
        "version": {
            "deployment": version.id,
            "commit": version.deployed_commit,
            "image": version.image,
        },
        "does": found.says,
        "holds": list(map(HoldData.of, found.holds)),
        "notes": list(found.warns),
        "news": found.news
        and [
            {"commit": one.deployed_commit, "message": one.message, "author": one.author}
            for one in found.news
        ],
        "compare": compare,
    }
    gets = f"{to.label} gets {version_of(version)}."
    return View(
        (_label(to), ": ", Sentence(found.says, SAYS)),
        Icon.UP,
        says=_differs(found, has),
        notes=[(Sentence(one, SAYS),) for one in found.warns],
        parts=_news(found.news or ()),
        data=data,
        asks=Ask(promote, f"Promote to {to.label}?", "Promote", gets),
    )


def _differs(found: Promotion, has: str | None) -> list[Phrase]:
    if found.news is None:
        return [("It runs a version that the other app is not known to have had.",)]
    commit = found.version.deployed_commit
    if has is None or commit is None:
        return []
    count = len(found.news)
    words = f"{count} deployment{'s' * (count != 1)}"
    return [(Compared(found.from_, has, commit, words), " that it has not had")]


def _news(news: Sequence[Deployment]) -> list[Lines]:
    items = [Item(_line(one)) for one in news[:MOST_NEWS]]
    return [Lines("New", items, len(news[MOST_NEWS:]))] if items else []


def _line(one: Deployment) -> Phrase:
    by: Phrase = (" (", Text(one.author, AUTHOR), ")") if one.author else ()
    message = Text(first_line(one.message), MESSAGE)
    return (Code(Text(version_of(one), VERSION)), " ", message, *by)


def _label(app: App) -> Strong:
    return Strong(Text(app.label, APP_NAME))
