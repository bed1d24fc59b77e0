"""Setting an app's source, build and variables: an argument for each field.

The arguments are made from the table of fields (`core/configuration/fields.py`).
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from bridge.core import apps
from bridge.core.configuration.fields import BUILD, FIELDS, SECTIONS, SOURCE, Field, settable
from bridge.core.errors import Rejected
from bridge.core.variables import assignment, key_of
from bridge.operations.arguments import App, Seen
from bridge.operations.base import GROUPS, Context, Door, Kind, Plan
from bridge.operations.configuring import changing, making, planned
from bridge.views.view import View

GROUPS["provider set"] = (
    "Set an app's source and when it deploys; only given fields change, and an empty value removes"
    " an optional one."
)

NOT_AT = {Door.CHATS: "its fields are in the dialog of `provider`"}

SHORT = {one.short: one.name for one in (*SOURCE, *BUILD) if one.short}

# ── arguments ─────────────────────────────────────────────────────────────────────────────────────

YES_OR_NO = {"yes": True, "no": False}


def _of_field(one: Field) -> Kind:
    """Return the kind of an argument that sets a field; an empty text removes its value."""

    def read(text: str, _: Context) -> Any:
        if one.type is bool and text not in YES_OR_NO:
            raise Rejected(f"{one.name} can't be {text[:40]!r}: it is yes or no")
        if one.type is bool:
            return YES_OR_NO[text]
        if one.secret and text:
            from pydantic import SecretStr

            return SecretStr(text)
        return text or None

    option = (one.short or one.name).replace("_", "-")
    return Kind("", read, one.help, "", option, many=one.type is tuple, sets=one)


def _words(text: str, _: Context) -> str:
    return text


def _key(text: str, _: Context) -> str:
    return key_of(text)


def _assigned(text: str, _: Context) -> tuple[str, str]:
    """Return the name of a variable, and the line that sets it."""
    key, equals, value = text.partition("=")
    if not equals:
        raise Rejected(f"{text[:40]!r} has no value: write KEY=VALUE")
    return key, assignment(key, value)


def _pairs(metavar: str, help_: str, option: str = "", **more: Any) -> Kind:
    return Kind(metavar, _assigned, help_, "", option, many=True, assigns=True, **more)


Assigned = tuple[tuple[str, str], ...]
PAIR = "KEY=VALUE|KEY"
ALONE = "A KEY alone prompts for its value, hidden, or reads standard input."
SAME, ALWAYS = "The same as a KEY alone. Repeatable.", "Always prompted for. Repeatable."

Variables = Annotated[Assigned, _pairs(PAIR, ALONE)]
Secrets = Annotated[Assigned, _pairs("KEY", SAME, "secret", sealed=True, only=Door.COMMAND_LINE)]
BuildArgs = Annotated[Assigned, _pairs(PAIR, "For the build. Repeatable.", "build-arg")]
BuildSecrets = Annotated[Assigned, _pairs("KEY", ALWAYS, "build-secret", sealed=True)]
Unset = Annotated[
    tuple[str, ...],
    Kind("KEY", _key, "Remove it from every section. Repeatable.", "", "unset", many=True),
]
CreateEnvFile = Annotated[bool | None, _of_field(FIELDS["create_env_file"])]
Forget = Annotated[
    tuple[str, ...],
    Kind("", _words, "Remove this field, e.g. only_newer.", "", "forget", many=True),
]
File = Annotated[str, Kind("FILE", _words, "Lines of KEY=VALUE; - is standard input.", file=True)]
FileText = Annotated[str, Kind("TEXT", _words, hidden=True)]
Replace = Annotated[
    bool,
    Kind("", _words, "Remove all variables that are not in the file.", "", "replace", flag=True),
]


def _with_fields(plan: Plan, fields: Sequence[Field], **further: Any) -> Plan:
    """Give a plan an argument for each field; those that are prompted for come last."""
    in_order = sorted(fields, key=lambda one: one.secret)
    arguments: dict[str, Any] = {one.name: Annotated[Any, _of_field(one)] for one in in_order}
    kind = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, kind, default=None, annotation=annotation)
        for name, annotation in (arguments | further | {"seen": Seen}).items()
    ]
    first = [inspect.Parameter("ctx", kind), inspect.Parameter("app", kind, annotation=App)]
    plan.__dict__["__signature__"] = inspect.Signature([*first, *options])
    return plan


def _given(ctx: Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that were given, None for one to remove."""
    given = {name: value for name, value in values.items() if name in ctx.call.given}
    return {
        name: (tuple(filter(None, value)) or None) if isinstance(value, tuple) else value
        for name, value in given.items()
    }


def _without(asked: dict[str, Any], forgotten: Sequence[str]) -> dict[str, Any]:
    """Return the fields that were given, with those to remove; raise Rejected if one is in both."""
    for word in forgotten:
        name = word.replace("-", "_")
        name = SHORT.get(name, name)
        if asked.setdefault(name, None) is not None:
            raise Rejected(f"{name[:40]} can't be set and forgotten at once")
    return asked


# ── the source, and when it deploys ───────────────────────────────────────────────────────────────

KINDS = {
    "github": (
        "Deploy from a repository on GitHub, through an account in Dokploy.",
        ("--branch release", "--trigger tag --versions '>=1.2 <2'"),
    ),
    "gitlab": (
        "Deploy from a project on GitLab, through an account in Dokploy.",
        ("--branch release",),
    ),
    "gitea": (
        "Deploy from a repository on Gitea or Forgejo, through an account in Dokploy.",
        ("--branch release",),
    ),
    "git": (
        "Deploy from any Git repository, by its address.",
        ("--url https://git.example.com/web.git",),
    ),
    "docker": (
        "Deploy an image from a registry.",
        ("--image nginx:1.27", "--username ada --password"),
    ),
}
"""What each kind of source means, and examples of its options."""


def _plan_source(kind: str) -> Plan:
    async def plan(
        ctx: Context, app: apps.App, seen: Any, forget: Any, **given: Any
    ) -> View | None:
        from bridge.core.configuration.merge import WantedSource, checked_remote

        if seen is not None:
            return None
        asked = _without(_given(ctx, given), forget)
        if ctx.by is None:  # only people on the server may name folders of the backend's machine
            checked_remote(asked.get("url"))
        return await planned(ctx, app, WantedSource(apps.SourceType(kind), asked))

    return _with_fields(plan, settable(kind), forget=Forget)


for _kind, (_does, _options) in KINDS.items():
    _examples = [f"provider set {_kind} shop/web {words}" for words in _options]
    changing(f"provider set {_kind}", _plan_source(_kind), not_at=NOT_AT, examples=_examples)(
        making(_does)
    )


# ── the build, the variables ──────────────────────────────────────────────────────────────────────


async def _plan_build(
    ctx: Context, app: apps.App, seen: Any, forget: Any, **given: Any
) -> View | None:
    from bridge.core.configuration.merge import WantedBuild

    if seen is not None:
        return None
    return await planned(ctx, app, WantedBuild(_without(_given(ctx, given), forget)))


changing(
    "build set",
    _with_fields(_plan_build, BUILD, forget=Forget),
    not_at=NOT_AT,
    examples=("build set shop/web --type dockerfile --dockerfile docker/Dockerfile",),
)(making("Set how an app is built; only given fields change, and an empty value removes one."))


async def _plan_variables(
    ctx: Context,
    app: App,
    variables: Variables = (),
    secret: Secrets = (),
    build_arg: BuildArgs = (),
    build_secret: BuildSecrets = (),
    unset: Unset = (),
    create_env_file: CreateEnvFile = None,
    seen: Seen = None,
) -> View | None:
    from bridge.core.configuration.merge import WantedVariables

    if seen is not None:
        return None
    changes: dict[str, dict[str, str | None]] = {section: {} for section in SECTIONS}
    sections = zip(SECTIONS, ((*variables, *secret), build_arg, build_secret), strict=True)
    for section, those in sections:
        changes[section].update(those)
    for key in unset:
        for section in SECTIONS:
            if changes[section].setdefault(key, None) is not None:
                raise Rejected(f"{key[:40]!r} can't be set and removed at once")
    return await planned(ctx, app, WantedVariables(changes, create_env_file=create_env_file))


changing(
    "env set",
    _plan_variables,
    not_at=NOT_AT,
    examples=("env set shop/web LOG_LEVEL=debug", "env set shop/web API_TOKEN --unset OLD_TOKEN"),
)(making("Set variables; others stay as they are."))


async def _plan_import(
    ctx: Context,
    app: App,
    file: File,
    replace: Replace = False,
    text: FileText = "",
    seen: Seen = None,
) -> View | None:
    from bridge.core.configuration.merge import WantedVariables
    from bridge.operations.env_files import read_env_file

    if seen is not None:
        return None
    found = read_env_file(text, file)
    if not found.assignments:
        raise Rejected(f"{file} holds no variables: write lines of KEY=VALUE")
    if replace:
        return await planned(ctx, app, WantedVariables(replaced={"env": found.text}))
    return await planned(ctx, app, WantedVariables({"env": dict(found.assignments)}))


changing(
    "env import",
    _plan_import,
    not_at=NOT_AT | {Door.CONSOLE: "it reads a file of the machine; `env set` takes its lines"},
    examples=("env import shop/web .env",),
)(making("Import variables from a file, as dotenv reads it; stop at an unreadable line."))
