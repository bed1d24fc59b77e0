"""How an app is built, and its variables, as forms. Pure.

Values of variables are never shown: only their names are, and what is typed goes one way.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.chats.slack.drawing.blocks import section
from bridge.chats.slack.drawing.fields import (
    Given,
    choice_field,
    several_field,
    text_field,
    ticks_field,
)
from bridge.chats.slack.drawing.messages import Block
from bridge.chats.slack.drawing.mrkdwn import code
from bridge.core.configuring.configuration import BuildType, Environment
from bridge.core.configuring.difference import SECTIONS, Configured
from bridge.core.configuring.merge import WantedBuild, WantedVariables
from bridge.core.configuring.variables import assignments_in, lines_besides, variables_in
from bridge.core.errors import Unfit
from bridge.core.watch import App, AppKind

_BUILDERS = (
    ("nixpacks", "Nixpacks"),
    ("railpack", "Railpack"),
    ("dockerfile", "Dockerfile"),
    ("static", "Static files"),
    ("heroku_buildpacks", "Heroku buildpacks"),
    ("paketo_buildpacks", "Paketo buildpacks"),
)
_FIELDS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "dockerfile": (
        ("dockerfile", "Dockerfile", "Dockerfile"),
        ("docker_context_path", "Context folder", "."),
        ("docker_build_stage", "Stage", "The last one"),
    ),
    "static": (("publish_directory", "Published folder", "dist"),),
    "nixpacks": (("publish_directory", "Published folder", "None: it runs its own server"),),
    "heroku_buildpacks": (("heroku_version", "Heroku stack", "24"),),
    "railpack": (("railpack_version", "Railpack version", "The backend's own"),),
}
"""By build type its fields: name, title, and what an empty one means."""

_SPA = ("static_spa", "One page for all addresses (a single-page app)")
_WORDS = {"env": "Environment", "build_args": "Build arguments", "build_secrets": "Build secrets"}
MOST_NAMED = 60


def build_fields(now: Configured, given: Given | None = None) -> list[Block]:
    """The fields of how an app is built."""
    build = now.saved.build
    if build is None:
        return [section("A compose stack has no build settings: its compose file says them.")]
    kind = _kind(build, given)
    blocks = [choice_field("build.build_type", "Built with", _BUILDERS, kind, redraws=True)]
    blocks += [
        text_field(
            f"{kind}.{name}",
            title,
            _value(build, given, name),
            placeholder=empty,
            optional=True,
        )
        for name, title, empty in _FIELDS.get(kind, ())
    ]
    if kind == "static":
        ticked = _ticked(given, "pages", ("static_spa",) if build.static_spa else ())
        blocks.append(ticks_field("static.pages", "Pages", [_SPA], ticked))
    return blocks


def build_wanted(now: Configured, given: Given) -> WantedBuild:
    """What the form of how it is built asks for."""
    build = now.saved.build
    assert build is not None
    kind = _kind(build, given)
    fields: dict[str, Any] = {"build_type": kind}
    for name, _, _ in _FIELDS.get(kind, ()):
        fields[name] = (_value(build, given, name) or "").strip() or None
    if kind == "static":
        ticked = "static_spa" in _ticked(given, "pages", ())
        fields["static_spa"] = ticked if ticked or build.static_spa else build.static_spa
    return WantedBuild(fields)


def environment_fields(app: App, now: Configured, given: Given | None = None) -> list[Block]:
    """The fields of an app's variables."""
    sections = SECTIONS if app.kind is AppKind.APPLICATION else SECTIONS[:1]
    environment = now.saved.environment
    blocks = [section(_named(environment, name)) for name in sections]
    blocks += [
        choice_field(
            "environment.section",
            "Where",
            [(name, _WORDS[name]) for name in sections],
            str((given or {}).get("section") or sections[0]),
        ),
        text_field(
            "environment.set",
            "Set variables",
            placeholder="KEY=value",
            hint="One a line. Those that are not named stay. Values are sealed until they are"
            " saved, and never shown.",
            optional=True,
            lines=True,
        ),
    ]
    known = _known(environment, sections)
    if known:
        blocks.append(
            several_field("environment.unset", "Take out", known, placeholder="Which variables")
        )
    ticked = _ticked(given, "file", ("create_env_file",) if environment.create_env_file else ())
    choices = [("create_env_file", "Write them into an .env file for the build")]
    blocks.append(ticks_field("environment.file", "File", choices, ticked))
    return blocks


def environment_wanted(given: Given) -> WantedVariables:
    """What the form of its variables asks for.

    Raises:
        Unfit: a line is no variable; it is not repeated, since it may be a secret.
    """
    text = str(given.get("set") or "").replace("\r\n", "\n")
    stray = [line for line in lines_besides(text).splitlines() if not line.strip().startswith("#")]
    if stray:
        raise Unfit("set", "A line is no variable: write KEY=value, one a line.")
    where = str(given.get("section") or SECTIONS[0])
    changes: dict[str, dict[str, str | None]] = {}
    for one in given.get("unset") or ():
        name, _, key = str(one).partition(".")
        changes.setdefault(name, {})[key] = None
    for key, raw in assignments_in(text).items():
        if changes.setdefault(where, {}).setdefault(key, raw) is None:
            raise Unfit("unset", f"{key[:60]} can't be set and taken out at once.")
        changes[where][key] = raw
    ticked = "create_env_file" in _ticked(given, "file", ())
    return WantedVariables({name: one for name, one in changes.items() if one}, {}, ticked)


def _named(environment: Environment, name: str) -> str:
    keys = list(_variables(environment, name))
    shown = " ".join(filter(None, (code(key, 80) for key in keys[:MOST_NAMED])))
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return f"*{_WORDS[name]}*\n{(shown[:2800] + more) or 'Nothing is set.'}"


def _known(environment: Environment, sections: Sequence[str]) -> list[tuple[str, str]]:
    """Variables as choices; several kinds may have one of the same name."""
    return [
        (f"{name}.{key}", key if name == "env" else f"{key} ({_WORDS[name].lower()})")
        for name in sections
        for key in _variables(environment, name)
        if len(key) <= 120
    ]


def _variables(environment: Environment, name: str) -> dict[str, str]:
    text = getattr(environment, name)
    return variables_in(text.get_secret_value() if text else None)


def _kind(build: BuildType, given: Given | None) -> str:
    return str((given or {}).get("build_type") or build.build_type)


def _value(build: BuildType, given: Given | None, name: str) -> str | None:
    value = given[name] if given is not None and name in given else getattr(build, name)
    return None if value is None else str(value)


def _ticked(given: Given | None, name: str, before: Sequence[str]) -> Sequence[str]:
    return tuple(given[name] or ()) if given is not None and name in given else before
