"""The trigger of an app in words and for programs: its source, its branch, our own rules."""

from dataclasses import asdict, fields, is_dataclass
from json import dumps
from typing import Any

from bridge.core.apps import App, Rules, Trigger
from bridge.core.log_text import short_branch
from bridge.core.pins import pin_of
from bridge.views.values import Code, Phrase, Text

LABEL, SOURCE, PATH = 200, 160, 60

MOST_PATHS = 3

TWICE = "auto-deploy is on at the backend, so every push deploys twice: `adopt` turns it off"


RULED_MARK = "†"
RULED = f"{RULED_MARK} by our own rules, not by the backend's record"

_ELSEWHERE = {"drop": "an uploaded archive", "raw": "a compose file written at the backend"}


def deploys(app: App) -> str:
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
    return f"{what} of {branch}{pinned(app)} from {source_of(app)}, watches {watched}"


def pinned(app: App) -> str:
    """Return that an app is pinned to a version, in a word; "" if it is not."""
    return " (pinned)" if pin_of(app) else ""


def _marked(text: str, by_rule: bool) -> str:
    return f"{text}{RULED_MARK}" if by_rule else text


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
    line = f"{app.label}: {app.waits_for} of {branch}{pinned(app)} from {source_of(app)}"
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
