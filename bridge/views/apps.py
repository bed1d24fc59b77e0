"""What is said about apps: what each serves, what deploys it, and how it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from json import dumps
from typing import TYPE_CHECKING, Any

from bridge.core.apps import App, Rules, Trigger
from bridge.core.lifecycle import Deployment, State
from bridge.core.log_text import short_branch
from bridge.core.pins import pin_of
from bridge.views.deployment_lists import deployment_form
from bridge.views.deployments import brief, item_of, person_of
from bridge.views.holds import first_hold, holding, proposed
from bridge.views.view import (
    SHORT_COMMIT,
    About,
    Code,
    Column,
    Commit,
    Icon,
    Item,
    Lines,
    Moment,
    Part,
    Phrase,
    Row,
    Sentence,
    Strong,
    Table,
    Text,
    View,
    iso,
    joined,
    many,
    plain,
)

if TYPE_CHECKING:
    from bridge.core.health.fate import Fate
    from bridge.core.health.serving import Serving

LABEL, SOURCE, NOTE, IMAGE, PATH, SAID = 200, 160, 200, 80, 60, 100
"""Characters of an app's name, its source, a note, an image, a path and a commit's message."""

MOST_PATHS = 3

# ── lists ─────────────────────────────────────────────────────────────────────────────────────────

TWICE = "auto-deploy is on at the backend, so every push deploys twice: `adopt` turns it off"

RULED_MARK = "†"
RULED = f"{RULED_MARK} by our own rules, not by the backend's record"

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
    legend: list[Phrase] = [(RULED,)] if any(RULED_MARK in _deploys(app) for app in apps) else []
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
            (Text(_deploys(app) + at, NOTE),),
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


def _deploys(app: App) -> str:
    """Return what deploys an app, as part of a sentence."""
    if app.marker:
        return f"its pull request, from {source_of(app)}"
    if not app.pushed:
        return f"no push: its source is {source_of(app)}"
    rules = said(app.rules)
    tags = ", ".join(f"{one}{RULED_MARK}" for one in tag_words(app.rules))
    what = _marked(str(app.waits_for), "trigger" in rules)
    branch = _marked(short_branch(app.branch or "no branch"), "branch" in rules)
    watched = _marked(" ".join(app.watched or ("everything",)), "watch_paths" in rules)
    what = f"{what} {tags}" if tags else what
    return f"{what} of {branch}{_pinned(app)} from {source_of(app)}, watches {watched}"


def _pinned(app: App) -> str:
    return " (pinned)" if pin_of(app) else ""


def _marked(text: str, by_rule: bool) -> str:
    return f"{text}{RULED_MARK}" if by_rule else text


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


# ── what deploys an app ───────────────────────────────────────────────────────────────────────────

_ELSEWHERE = {"drop": "an uploaded archive", "raw": "a compose file written at the backend"}
"""Sources without an address."""


def source_of(app: App) -> str:
    """Return an app's source in a few words."""
    source = app.source
    if source is None:
        return "nowhere (no source is set)"
    if source.type in _ELSEWHERE:
        return _ELSEWHERE[source.type]
    what = source.image or source.url or source.repository or source.repository_id or "?"
    return f"{what}" if source.type in ("git", "docker") else f"{source.type} {what}"


def waits_in_words(app: App, *, short: bool = False) -> str:
    """Return what deploys an app, with the part that comes from our own rules.

    Args:
        short: shorten a long branch in the middle.
    """
    if app.marker:
        return f"{app.label}: its pull request deploys it, from {source_of(app)}"
    if not app.pushed:
        return f"{app.label}: no push deploys it, its source is {source_of(app)}"
    watched = " ".join(app.watched or ("everything",))
    branch = app.branch or "no branch"
    branch = short_branch(branch) if short else branch
    line = f"{app.label}: {app.waits_for} of {branch}{_pinned(app)} from {source_of(app)}"
    rules = ", ".join(f"{name}={dumps(value)}" for name, value in written(app.rules).items())
    return f"{line}, watches {watched}" + (f", by our rules {rules}" if rules else "")


def deploys_on(app: App) -> Phrase:
    """Return what deploys an app, as a sentence."""
    source = Text(source_of(app), SOURCE)
    if not app.pushed:
        return ("It is deployed by no push: ", source)
    if app.waits_for is Trigger.TAG:
        return ("It deploys on tags: ", source)
    branch = Text(app.branch or "no branch", LABEL)
    paths: list[str | Code] = []
    for path in (app.watched or ())[:MOST_PATHS]:
        paths += [", ", Code(Text(path, PATH))]
    more = ", …" if len(app.watched or ()) > MOST_PATHS else ""
    change = (" that change ", *paths[1:], more) if paths else ()
    return ("It deploys on pushes", *change, ": ", source, ", branch ", branch)


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


def waits_form(app: App) -> dict[str, Any]:
    """Return what deploys an app, with the part that comes from our own rules."""
    return {
        "branch": app.branch,
        "trigger": str(app.waits_for),
        "watch_paths": list(app.watched or ()),
        "rules": said(app.rules),
    }


def said(rules: Rules) -> dict[str, Any]:
    """Return our own rules for an app as JSON, without unset fields."""
    found = {name: _plain(value) for name, value in asdict(rules).items() if value is not None}
    return found | ({"previews": _without_values(found["previews"])} if rules.previews else {})


def written(rules: Rules) -> dict[str, Any]:
    """Return our own rules for an app as people write them, without defaults."""
    found = {one.name: getattr(rules, one.name) for one in fields(rules)}
    return {name: _as_written(value) for name, value in found.items() if value is not None}


def _as_written(value: Any) -> Any:
    from bridge.core.policies import WELL, VerifyPolicy, statuses_text

    if not is_dataclass(value):
        return _plain(value)
    own = [one for one in fields(value) if getattr(value, one.name) != one.default]
    section = {one.name: _plain(getattr(value, one.name)) for one in own}
    if isinstance(value, VerifyPolicy) and value.status != WELL:
        section["status"] = statuses_text(value.status, ", ")
    return section.get("on", _without_values(section) or True)


def _without_values(section: dict[str, Any]) -> dict[str, Any]:
    """Return a section of rules with the names of its variables only: values may be secrets."""
    own = {"environment", "build_args"} & section.keys()
    return section | {name: [variable for variable, _ in section[name]] for name in own}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def tag_words(rules: Rules) -> list[str]:
    """Return which tags deploy, in a few words: `v*`, `versions >=1.2 <2`, `only newer`."""
    prefix = rules.tag_prefix and f"{rules.tag_prefix}…"
    prereleases = rules.prereleases and f"pre-releases: {rules.prereleases}"
    versions = rules.versions and f"versions {rules.versions}"
    newer = "only newer" if rules.only_newer else None
    return [one for one in (rules.tags, prefix, versions, prereleases, newer) if one]
