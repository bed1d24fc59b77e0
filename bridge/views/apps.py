"""What is said about apps: what each serves, what deploys it, and how it stands."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bridge.core.apps import App
from bridge.core.lifecycle import Deployment, State
from bridge.views.deployment_lists import deployment_form
from bridge.views.deployments import brief, item_of, person_of
from bridge.views.holds import first_hold, holding, proposed
from bridge.views.triggers import (
    RULED,
    RULED_MARK,
    TWICE,
    deploys,
    deploys_on,
    source_of,
    waits_form,
    waits_in_words,
)
from bridge.views.values import (
    SHORT_COMMIT,
    Code,
    Commit,
    Icon,
    Moment,
    Phrase,
    Sentence,
    Strong,
    Text,
    iso,
    joined,
    many,
    plain,
)
from bridge.views.view import About, Column, Item, Lines, Part, Row, Table, View

if TYPE_CHECKING:
    from bridge.core.health.fate import Fate
    from bridge.core.health.serving import Serving

LABEL, NOTE, IMAGE, SAID = 200, 200, 80, 100
"""Characters of an app's name, its source, a note, an image, a path and a commit's message."""


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────


COLUMNS = (
    *map(Column, ("app", "live", "since", "last")),
    Column("about it", long=True),
    Column("deploys", long=True),
)
GONE = tuple(map(Column, ("app", "id", "backend", "last")))


def listed(
    apps: Sequence[App],
    last: Mapping[str, Deployment],
    live: "Mapping[str, Serving]",
    none: str,
    remarks: Sequence[Phrase],
) -> View:
    """List apps with what each serves, and what deploys it.

    Args:
        last: the newest deployment of each app, by its id; live: what each serves.
        none: why there are none.
    """
    data = [app_form(one, last.get(one.id), live.get(one.id)) for one in apps]
    if not apps:
        return View((Text(none, 500),), data=data, empty=True, remarks=remarks)
    several = len({app.backend for app in apps}) > 1
    rows = [_row(one, last.get(one.id), live.get(one.id), several) for one in apps]
    legend: list[Phrase] = [(RULED,)] if any(RULED_MARK in deploys(app) for app in apps) else []
    twice = ", ".join(app.label for app in apps if app.deploys_twice)
    legend += [("⚠ ", Text(twice, 1000), f": {TWICE}")] if twice else []
    table = Table(COLUMNS, rows, legend=legend)
    return View((many(len(apps), "app"),), parts=[table], data=data, remarks=remarks)


def gone_list(apps: Sequence[App], last: Mapping[str, Deployment]) -> View:
    """List apps that were deleted, or whose backend was removed."""
    data = [app_form(one, last.get(one.id)) for one in apps]
    if not apps:
        return View(("no app is gone",), data=data, empty=True)
    rows = []
    for app in apps:
        label, state = Text(app.label, LABEL), _state(last.get(app.id))
        where = (Text(app.id, LABEL), " of ", Text(app.backend, LABEL))
        line: Phrase = (label, ": ", *where, f", gone; last {state}")
        cells = ((label,), (where[0],), (where[2],), (state,))
        rows.append(Row(cells, line=line, says=[line]))
    return View((f"{many(len(apps), 'app')} gone",), parts=[Table(GONE, rows)], data=data)


def _state(last: Deployment | None) -> str:
    return str(last.state) if last else "never"


def _row(app: App, last: Deployment | None, live: "Serving | None", several: bool) -> Row:
    from bridge.views.states import sign_of

    at = f"; at {app.backend}" if several else ""
    since = live.live_since if live else None
    served: Phrase = ()
    if live is not None:
        served = (Text(live.commit[:SHORT_COMMIT] if live.commit else live.version or "?", IMAGE),)
    about = "; ".join(_about(live)) if live else ""
    return Row(
        (
            (Text(app.label, LABEL),),
            served,
            (Moment(since, since=True),) if since else (),
            (_state(last),),
            (Text(about, NOTE),) if about else (),
            (Text(deploys(app) + at, NOTE),),
        ),
        sign_of(last),
        (Text(_line(app, last, live) + at, 1000),),
        [_named(app, last), live_line(live, app), *first_hold(last)],
    )


def _named(app: App, last: Deployment | None) -> Phrase:
    """Return an app with its newest deployment, or where it would come from."""
    name: Phrase = (Strong(Text(app.label, LABEL)),)
    if last is None:
        return joined(name, (Text(source_of(app), IMAGE),))
    return joined(name, briefly(last, app, 0))


def briefly(deployment: Deployment, app: App, said: int = 60) -> Phrase:
    """Return a deployment's branch or tag, what it brings, and when it last changed.

    Args:
        said: characters of the first line of the commit's message.
    """
    return joined(*brief(deployment, app, said), (Moment(newest_at(deployment)),))


def newest_at(deployment: Deployment) -> float:
    """Return the time of its latest event, in seconds since 1970."""
    return deployment.finished_at or deployment.started_at or deployment.created_at


def live_line(live: "Serving | None", app: App) -> Phrase:
    """Return what an app serves, since when and by whom, how far behind, and whether it works."""
    if live is None:
        return ()
    notes: list[Phrase] = [(Text(note, NOTE),) for note in live.notes]
    if not live.known:
        return joined(*(("Live: ", *note) for note in notes))
    what: Phrase = ("unknown version",)
    if live.commit:
        what = (Commit(live.commit, app),)
    elif live.version:
        what = (Code(Text(live.version, IMAGE)),)
    since: Phrase = () if live.live_since is None else (" since ", Moment(live.live_since))
    who = person_of(live.by)
    by: Phrase = ("by ", *who) if who else ()
    return joined((f"{live.word.capitalize()}: ", *what, *since), by, *notes)


def _about(live: "Serving") -> list[str]:
    """Return who brought what is live, how far behind it is, and whether it works."""
    by = plain(person_of(live.by))
    return [*([f"by {by.strip()}"] if by and live.known else []), *live.notes]


def _line(app: App, last: Deployment | None, live: "Serving | None") -> str:
    state = f"last {last.state}" if last else "never deployed"
    line = f"{waits_in_words(app)}, {state}"
    if live is not None:
        since = "" if live.live_since is None else f" since {iso(live.live_since)}"
        served = live.commit[:SHORT_COMMIT] if live.commit else live.version or "?"
        line += f", {live.word} {served}{since} ({'; '.join(_about(live))})"
    return line + (f"; warning: {TWICE}" if app.deploys_twice else "")


# ── how apps stand ────────────────────────────────────────────────────────────────────────────────

BROKEN = frozenset({State.FAILED, State.UNHEALTHY, State.UNKNOWN})
"""Ends after which somebody must act."""

MOST_LINES = 15


def status(
    app: App, newest: Deployment | None, live: "Serving | None", remarks: Sequence[Phrase]
) -> View:
    """Say how one app stands, what it serves, and what deploys it."""
    from bridge.core.health.fate import fate_of
    from bridge.views.states import sign_of, verdict_of

    fate = fate_of(newest, live) if newest and live else None
    verdict = verdict_of(newest, fate) if newest else "was never deployed from here"
    says: list[Phrase] = []
    parts: list[Part] = []
    notes: list[Phrase] = []
    if newest is not None:
        says.append(briefly(newest, app, SAID))
        parts += [*holding(newest), *proposed(newest, app)]
        notes.append(() if parts else _fate_line(newest, fate))
    notes += [live_line(live, app), deploys_on(app)]
    return View(
        (Strong(Text(app.label, LABEL)), f" {verdict}"),
        sign_of(newest, fate),
        says=says,
        notes=list(filter(None, notes)),
        parts=parts,
        data=app_form(app, newest, live),
        remarks=remarks,
        about=About(app, newest),
    )


def _fate_line(newest: Deployment, fate: "Fate | None") -> Phrase:
    """Return until when a version was live, what replaced it, and its newest note."""
    from bridge.views.states import remark

    said: list[Phrase] = []
    if fate is not None:
        until: Phrase = () if fate.until is None else ("Until ", Moment(fate.until))
        said = [until, (Sentence(fate.says, NOTE),) if fate.says else ()]
    note = remark(newest, fate)
    return joined(*said, (Sentence(note, NOTE),) if note else ())


def status_of_all(
    apps: Sequence[App],
    going: Sequence[Deployment],
    last: Mapping[str, Deployment],
    remarks: Sequence[Phrase],
) -> View:
    """Say what is under way, what is held, and what needs a look; the rest as a number.

    Args:
        going: open deployments.
        last: the newest deployment of each app, by its id.
    """
    held = [one for one in going if one.state is State.HELD]
    moving = [one for one in going if one.state is not State.HELD]
    failed = [one for one in last.values() if one.state in BROKEN]
    calm = len({app.id for app in apps} - {one.app_id for one in [*going, *failed]})
    counts = [
        f"{len(moving)} under way",
        *([f"{len(held)} held"] if held else []),
        f"{len(failed)} failed",
        f"{calm} at rest",
    ]
    lists = (("Under way", moving), ("Held", held), ("Needs a look", failed))
    forms = {
        title.lower().replace(" ", "_"): list(map(deployment_form, those)) for title, those in lists
    }
    quiet = f"All quiet: {many(len(apps), 'app')} at rest" if apps else "There are no apps yet"
    busy = bool(going or failed)
    return View(
        (", ".join(counts),) if busy else (quiet,),
        None if busy else Icon.WELL,
        parts=[_standing(title, those) for title, those in lists if those],
        data={**forms, "at_rest": calm},
        remarks=remarks,
    )


def _standing(title: str, those: Sequence[Deployment]) -> Lines:
    items = []
    for one in those[:MOST_LINES]:
        when: Phrase = (Moment(newest_at(one)),)
        first = [("", *item.says) for item in first_hold(one)]
        items.append(Item(joined(item_of(one).says, when, *first), one.state))
    return Lines(title, items, max(0, len(those) - MOST_LINES))


"""Sources without an address."""


def having(apps: Sequence[App], words: Sequence[str]) -> list[App]:
    """Return the apps whose label, id or source contains all of the words."""
    wanted = [word.lower() for word in words]
    return [
        app
        for app in apps
        if all(word in f"{app.label} {app.id} {source_of(app)}".lower() for word in wanted)
    ]


# ── for programs ──────────────────────────────────────────────────────────────────────────────────


def app_form(app: App, last: Deployment | None, live: "Serving | None" = None) -> dict[str, Any]:
    """Return an app, what deploys it, its newest deployment, and what it serves."""
    source = app.source
    return {
        "id": app.id,
        "app": app.label,
        "backend": app.backend,
        "kind": str(app.kind),
        "source": source
        and {
            "type": str(source.type),
            "repository": source.repository,
            "repository_id": source.repository_id,
            "url": source.url,
            "image": source.image,
        },
        **waits_form(app),
        "auto_deploy": app.auto_deploy,
        "page": app.page,
        "url": app.url,
        "last_deployment": last and deployment_form(last),
        "live": live and live_form(live),
        "serving": live and serving_form(live),
    }


def serving_form(live: "Serving") -> dict[str, Any]:
    """Return what an app serves, and what vouches for it; None stands for what is not known."""
    from bridge.core.health.serving import By

    seen = live.seen
    elsewhere = seen.place if seen is not None and seen.by is By.BACKEND else None
    return {
        "version": live.version,
        "since": iso(live.since),
        "by": str(live.by) or elsewhere,
        "evidence": live.evidence and str(live.evidence),
        "verdict": str(live.works),
    }


def live_form(live: "Serving") -> dict[str, Any]:
    """Return what an app serves, in more detail; None stands for what is not known."""
    last = live.last_known
    return {
        "known": live.known,
        "commit": live.commit,
        "image": live.image,
        "since": iso(live.since),
        "by": (str(live.by) or None) if live.known else None,
        "deployment": live.ours.id if live.ours else None,
        "health": str(live.works),
        "rolled_back": live.rolled_back,
        "rolled_back_from": live.rolled_back_from,
        "behind": live.behind
        and {"pushes": live.behind.pushes, "concerning": live.behind.concerning},
        "last_known": None if live.known or last is None else last.id,
    }
