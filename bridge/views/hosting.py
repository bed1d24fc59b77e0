"""What is said about the backends' own deploys of pushes, and about pinned apps."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.views.values import Phrase, Strong, Text, many
from bridge.views.view import Ask, Item, Lines, View

if TYPE_CHECKING:  # its imports are slow
    from bridge.core.configuration.plan import Plan

NAME, SAYS = 200, 1000
"""Characters of a name, and of a reason."""


def lines_alone(lines: Iterable[Phrase], brief: str, **others: Any) -> View:
    """Return lines that need no head; `brief`: the same in a few words."""
    items = list(map(Item, lines))
    return View((), parts=[Lines("", items)] if items else [], brief=(brief,), **others)


def reasons(whys: Iterable[str]) -> list[Phrase]:
    """Return why things are as they are, one in each line."""
    return [(Text(why, SAYS),) for why in whys]


# ── the backends' own deploys ─────────────────────────────────────────────────────────────────────

UNHEARD = (
    "its Git host is not served, so nothing but its own Auto Deploy deploys its pushes;"
    " `dokploy-bridge doctor` says what to set"
)


def to_switch(
    apps: Sequence[App], left: Sequence[App], failed: Sequence[str], adopt: Call, *, on: bool
) -> View:
    """Show which apps would be switched.

    Args:
        left: those that stay as they are, since nothing else would deploy their pushes.
        failed: what else can't be switched, and why.
        adopt: switches them.
    """
    word, data = _word(on), [_form(one, on=on) for one in apps]
    remarks, bad = reasons(map(stays_on, left)), reasons(failed)
    if not apps and not left and not failed:
        none = "no app was adopted" if on else "Auto Deploy is off already"
        return View((none,), data=data, empty=True)
    if not apps:
        return View((), brief=("nothing to switch",), data=data, remarks=remarks, failed=bad)
    lines: list[Phrase] = [
        (f"switch Auto Deploy {word}: ", Text(one.label, NAME), " (", Text(one.backend, NAME), ")")
        for one in apps
    ]
    question = f"Switch Auto Deploy {word} for {many(len(apps), 'app')}?"
    asks = Ask(adopt, question, f"Switch {word}")
    return lines_alone(lines, question, data=data, remarks=remarks, failed=bad, asks=asks)


def stays_on(app: App) -> str:
    """Return that an app's own deploys stay on, and why."""
    return f"{app.label} stays on: {UNHEARD}"


def switched(apps: Sequence[App], done: Sequence[App], failed: Sequence[str], *, on: bool) -> View:
    """Say of how many apps the backend's own deploys were switched.

    Args:
        apps: those that were to be, and `done` those that were.
        failed: why others could not be.
    """
    head = f"Auto Deploy switched {_word(on)} for {many(len(done), 'app')}"
    return View((head,), data=[_form(one, on=on) for one in apps], failed=reasons(failed))


def _word(on: bool) -> str:
    return "on" if on else "off"


def _form(app: App, *, on: bool) -> dict[str, Any]:
    return {"app": app.label, "app_id": app.id, "auto_deploy": on}


# ── pinned apps ───────────────────────────────────────────────────────────────────────────────────

OWN_BRANCHES = "bridge/**"


def to_pin(plan: "Plan", tracks: str, question: str, does: str, call: Call) -> View:
    """Show what pinning an app would change, or taking that back.

    Args:
        tracks: the branch whose pushes deploy it.
        call: does it.
    """
    from bridge.core.configuration.difference import lines_of

    label, changes = Strong(Text(plan.app.label, NAME)), lines_of(plan.difference)
    head: Phrase = (f"{plan.what} of ", label) if changes else (label, " is configured like that")
    return View(
        head,
        notes=reasons(plan.remarks),
        parts=[Lines("", [Item(one) for one in reasons(changes)])] if changes else [],
        data=_pin_form(plan, tracks),
        asks=Ask(call, question, does),
    )


def pinned(plan: "Plan", tracks: str) -> View:
    """Say that an app is pinned."""
    app, builds = plan.app, getattr(plan.after.saved.provider, "branch", "")
    return View(
        (
            *("pinned: ", Text(app.label, NAME), " tracks ", Text(tracks, NAME), ", and "),
            *(Text(app.backend, NAME), " builds ", Text(builds, NAME)),
        ),
        data=_pin_form(plan, tracks),
        hints=[(f"keep CI from running for the bridge's own branches: exclude {OWN_BRANCHES}",)],
    )


def unpinned(plan: "Plan", tracks: str) -> View:
    """Say that an app is built at the head of its branch again."""
    app = plan.app
    return View(
        (
            *("unpinned: ", Text(app.backend, NAME), " builds the head of "),
            *(Text(tracks, NAME), " for ", Text(app.label, NAME)),
        ),
        data=_pin_form(plan, tracks),
    )


def _pin_form(plan: "Plan", tracks: str) -> dict[str, Any]:
    return {
        "app": plan.app.label,
        "app_id": plan.app.id,
        "action": plan.what,
        "tracks": tracks,
        "builds": getattr(plan.after.saved.provider, "branch", None),
        "difference": [
            {"field": one.field, "before": one.before, "after": one.after}
            for one in plan.difference
        ],
    }
