"""The public surface, asked of the program: the lines in `tests/fixtures/surface`.

Scripts, dashboards and settings files rely on these names. After a change record them anew, and
look at the difference:

    python -m tests.scenes.surface

A line is a name, two spaces, and what is said of it. What each setting is for stands in
`docs/settings.md`, which has a test of its own.
"""

import asyncio
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args, get_origin
from unittest.mock import Mock, patch

import typer
from aiohttp import web
from annotated_types import BaseMetadata
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from bridge.app.roles import Role
from bridge.app.setup.door import SetupDoor
from bridge.app.setup.home import home_route
from bridge.app.storage import Stores
from bridge.chats import CHATS
from bridge.cli.context import EXIT_CODES
from bridge.cli.embedded import api_of
from bridge.cli.root import commands
from bridge.cli.views import data_of
from bridge.console.pages.door import Console
from bridge.core.access import Right
from bridge.core.apps import Rules
from bridge.core.chat.calls import Call
from bridge.core.decision import DEPLOYS, Decision, Reason
from bridge.core.events import Action
from bridge.core.gates.promotion import Promotion
from bridge.core.health.rollback import Rung, Version, WayBack
from bridge.core.holds import Gate, Proposal
from bridge.core.lifecycle import FINAL, State
from bridge.core.previews.preview import PreviewState
from bridge.core.previews.verdict import HOLDS, Why
from bridge.core.refused import WRONG_PATH
from bridge.embedded.http import docs
from bridge.embedded.http.api import PROCEDURES, Api, Streaming
from bridge.githosts import HOSTS
from bridge.operations.words import usages
from bridge.pipeline.deploying.rollback_plan import Plan
from bridge.ports.checks import NAMES
from bridge.ports.figures import Ended, InboxFigures, JournalFigures
from bridge.ports.gates import Judging
from bridge.ports.inbox import DeliveryState
from bridge.ports.outcomes import Outcome
from bridge.settings import (
    PLAIN_VARIABLES,
    PREFIX,
    Settings,
    fields,
    read_settings,
)
from bridge.views.deploying import promotion_asked, rollback_asked
from bridge.web.hooks import OUTCOMES, BodyLimits
from bridge.web.metrics import Metrics
from bridge.web.server import routes
from tests.fakes.github import FakeGithub
from tests.fakes.journey import app, deployment
from tests.scenes.dokploy import dokploy
from tests.scenes.previewed import PREVIEWS_JSON, preview_all
from tests.scenes.terminal import WORKER, command, environment, fill
from tests.worlds.doors import open_door, signed
from tests.worlds.embedded import Repository

RECORDED = Path(__file__).parents[1] / "fixtures" / "surface"

Lines = Mapping[str, str]
"""What is said of each name."""


# ── Commands ────────────────────────────────────────────────────────────────────────────────────


TYPERS_OWN = {"help", "install_completion", "show_completion"}
"""Options that every command made with typer has."""


def all_commands() -> Iterator[tuple[str, Any]]:
    """Yield every command by its words, the root among them."""
    yield "", command()
    yield from commands(command())


def of_commands() -> Lines:
    """Return commands, arguments and options, each with its line of the help."""
    found: dict[str, str] = {}
    for words, one in all_commands():
        name = f"dokploy-bridge {words}".rstrip()
        found[name] = _first_line(one.help)
        context = typer.Context(one, info_name=name)
        for param in one.get_params(context):
            if param.name not in TYPERS_OWN:
                found[f"{name} {_usage(param, context)}"] = _meaning(param)
    return found


def _usage(param: Any, context: Any) -> str:
    names = ", ".join((*param.opts, *param.secondary_opts))
    if param.param_type_name == "argument":
        return str(param.display_name_raw)
    return names if param.is_flag else f"{names} {param.display_type_rich(context)}"


def _meaning(param: Any) -> str:
    default = param.default
    said = "" if callable(default) or default in (None, False, ()) else f" [{default}]"
    return _first_line(getattr(param, "help", None)) + said


def _first_line(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


# ── Settings ────────────────────────────────────────────────────────────────────────────────────


def variables_of(path: tuple[str, ...]) -> list[str]:
    """Return the variables of a setting."""
    plain = [name for name, leads_to in PLAIN_VARIABLES.items() if leads_to == path]
    return [f"{PREFIX}{'_'.join(path).upper()}", *plain]


def of_settings() -> Lines:
    """Return settings, each with its variables and its default."""
    found = {
        ".".join(path): f"{', '.join(variables_of(path))} = {_default(field)}"
        for path, field in fields(Settings)
    }
    for path, field in fields(Settings):
        found |= _inside(".".join(path), field.annotation)
    return found


def _inside(above: str, kind: Any) -> Lines:
    """Return the settings of what a setting holds, if that has some of its own."""
    found: dict[str, str] = {}
    for place, model in _models(kind):
        for path, field in fields(model):
            name = f"{above}{place}.{'.'.join(path)}"
            found[name] = f"= {_default(field)}"
            found |= _inside(name, field.annotation)
    return found


def _models(kind: Any, place: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models in a type, each with its place in the value: `[]`, `.*`, or itself."""
    origin = get_origin(kind) or kind
    if isinstance(origin, type):
        if issubclass(origin, BaseModel):
            yield place, origin
        elif issubclass(origin, Mapping):
            place += ".*"
        elif issubclass(origin, Sequence):
            place += "[]"
    for inner in get_args(kind):
        yield from _models(inner, place)


def _default(field: Any) -> str:
    said = "required" if field.is_required() else json.dumps(field.get_default(), default=str)
    bounds = [
        str(one).partition("(")[2].rstrip(")")
        for one in field.metadata
        if isinstance(one, BaseMetadata)
    ]
    return " ".join(
        [said, *(f"({one})" for one in (*bounds, "|".join(_choices(field.annotation))) if one)]
    )


def _choices(kind: Any) -> Iterator[str]:
    """Yield the words that a setting may be."""
    if get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    elif isinstance(kind, type) and issubclass(kind, Enum):
        yield from (str(one.value) for one in kind)
    else:
        for inner in get_args(kind):
            yield from _choices(inner)


# ── HTTP ────────────────────────────────────────────────────────────────────────────────────────


def public_routes() -> Iterator[str]:
    """Yield the routes of the public listener, but for the one that takes all other paths."""
    app = routes(
        None,  # type: ignore[arg-type]  # nothing is asked of it
        HOSTS,
        BodyLimits(),
        {},
        Metrics(Inbox(), Journal(), dict, float),
        chats=dict.fromkeys(chat for chat, one in CHATS.items() if one.to_be_heard),  # type: ignore[arg-type]  # likewise
        challenge_key="a key",
    )
    for route in app.router.routes():
        assert route.resource is not None
        if route.resource.canonical != "/{path}" and route.method != "HEAD":
            yield f"{route.method} {route.resource.canonical}"


def of_routes() -> Lines:
    """Return the routes of the public listener, of its pages, and of the embedded backend."""
    nothing: Any = None  # nobody calls them
    parts = (*docs.routes(), *Api(nothing, nothing).routes(), *Streaming(nothing, nothing).routes())
    embedded = [f"{one.method} {one.path}" for one in parts]
    procedures = [f"{one.method} /api/{name}" for name, one in PROCEDURES.items()]
    pages = [
        home_route(Mock(), Mock(), is_set_up=True),
        *SetupDoor(*[nothing] * 6).routes(),
        *Console(*[Mock()] * 3).routes(),
    ]
    for_people = [f"{one.method} {one.path}" for one in pages if isinstance(one, web.RouteDef)]
    found = dict.fromkeys(public_routes(), "the bridge") | dict.fromkeys(for_people, "its pages")
    return found | dict.fromkeys([*embedded, *procedures], "the embedded backend")


# ── Metrics ─────────────────────────────────────────────────────────────────────────────────────


class Inbox:
    """An inbox in which a delivery waits."""

    async def figures(self) -> InboxFigures:
        """Return how full it is."""
        return InboxFigures(1, 0.0)


class Journal:
    """A journal in which one deployment goes on, and one has ended."""

    async def figures(self) -> JournalFigures:
        """Return how much is going on."""
        return JournalFigures({State.RUNNING: 1}, 1, 1, 0.0, {Gate.LOCK: 1}, {PreviewState.UP: 1})

    async def newest_change(self) -> int:
        """Return the number of the newest change."""
        return 0

    async def ended(self, after: int) -> list[Ended]:
        """Return what has ended."""
        return [Ended(1, "shop/web", State.DONE, 1.0)]


def of_metrics() -> Lines:
    """Return the metrics' names, each with its type and its labels."""

    async def scraped() -> str:
        metrics = Metrics(Inbox(), Journal(), lambda: {"inbox": 1}, lambda: 1.0)
        metrics.webhook("github", "push", "accepted")
        metrics.backend_request("dokploy", "deploy", 1.0)
        return (await metrics.text(["backend dokploy"]))[0].decode()

    return {
        one.name: " ".join([one.type, *sorted({name for of in one.samples for name in of.labels})])
        for one in text_string_to_metric_families(asyncio.run(scraped()))
        if one.name.startswith("bridge_")
    }


# ── What `--json` prints ────────────────────────────────────────────────────────────────────────

DELIVERY = "72d3162e"

SCENES: Mapping[str, tuple[str, ...]] = {
    "adopt": ("adopt", "shop/web", "--plan"),
    "apps": ("apps",),
    "apps --gone": ("apps", "--gone"),
    "audit": ("audit",),
    "build set": ("build", "set", "shop/web", "--dockerfile", "Other", "--plan"),
    "build show": ("build", "show", "shop/web"),
    "cancel": ("cancel", "shop/web"),
    "config check": ("config", "check"),
    "config check --online": ("config", "check", "--online"),
    "config show": ("config", "show"),
    "deliveries": ("deliveries",),
    "deliveries --refused": ("deliveries", "--refused"),
    "deliveries show": ("deliveries", "show", DELIVERY),
    "deploy": ("deploy", "shop/web"),
    "deployments": ("deployments",),
    "deployments show": ("deployments", "show", "3", "--app", "shop/web"),
    "doctor": ("doctor",),
    "env import": ("env", "import", "shop/web", "-", "--plan"),
    "env set": ("env", "set", "shop/web", "A=b", "--plan"),
    "env show": ("env", "show", "shop/web"),
    "explain": ("explain", DELIVERY, "--watch-path", "Services/**"),
    "lock": ("lock", "all", "-m", "x", "--for", "2h"),
    "locks": ("locks",),
    "held": ("held",),
    "approve": ("approve", "shop/web", "--commit", "9999999"),
    "override": ("override", "shop/web", "-m", "x"),
    "unlock": ("unlock", "all"),
    "freeze": ("freeze", "all", "-m", "x"),
    "freezes": ("freezes",),
    "unfreeze": ("unfreeze", "all"),
    "feedback": ("feedback",),
    "feedback retry": ("feedback", "retry", "--all"),
    "logs": ("logs", "shop/web"),
    "manifest slack": ("manifest", "slack", "--socket"),
    "pin": ("pin", "shop/web", "--plan"),
    "report": ("report", "--since", "1w"),
    "unpin": ("unpin", "shop/web", "--plan"),
    "provider disconnect": ("provider", "disconnect", "shop/web", "--plan"),
    "provider set docker": ("provider", "set", "docker", "shop/web", "--image", "nginx", "--plan"),
    "provider set github": ("provider", "set", "github", "shop/web", "--watch", "web", "--plan"),
    "provider set gitlab": ("provider", "set", "gitlab", WORKER.label, "--branch", "x", "--plan"),
    "provider set gitea": (
        *("provider", "set", "gitea", "shop/web", "--account", "gt_1", "--owner", "my-org"),
        *("--repository", "mono", "--branch", "x", "--plan"),
    ),
    "provider show": ("provider", "show", "shop/web"),
    "redeploy": ("redeploy", "shop/web"),
    "replay": ("replay", DELIVERY),
    "status": ("status", "shop/web"),
    "whoami": ("whoami",),
    "why": ("why", "shop/web"),
    **PREVIEWS_JSON,
}
"""A command for each form; where one asks before it goes on, nobody agrees, or is asked."""

EMBEDDED: Mapping[str, tuple[str, ...]] = {
    "app create": ("app", "create", "web", "--repo"),  # and a repository
    "provider accounts": ("provider", "accounts"),
    "provider set git": ("provider", "set", "git", "web", "--branch", "x", "--yes"),
    "provider undo": ("provider", "undo", "web", "--plan"),
    "clear": ("clear", "web", "--yes"),
}
"""The same for commands that change something, in this order, with the embedded backend."""

HOOKS: Mapping[str, tuple[str, ...]] = {
    "hooks install": ("hooks", "install", "my-org/mono", "--yes"),
    "hooks list": ("hooks", "list", "my-org/mono"),
    "hooks rotate": ("hooks", "rotate", "--all", "--plan"),
    "hooks remove": ("hooks", "remove", "my-org/mono", "--plan"),
}
"""The same for webhooks, in this order, with a Git host."""

PLANNED = ("rollback", "promote")
"""Commands whose plans are told as JSON; their forms are recorded without a backend."""

DATA = re.compile(r".*\.(?:headers|env|build_args|build_secrets|place)").fullmatch
"""What has keys that are somebody's own."""


def of_json() -> Lines:
    """Return the keys that commands print for scripts, by the command."""
    found: dict[str, str] = {}
    for name, text in _printed():
        value = json.loads(text)
        if name == "config show":  # its keys are the settings
            value = {"*": value["host"]}
        found |= {f"{name} {key}": "" for key in keys(value)}
    found |= asyncio.run(_answered())
    return dict(sorted(found.items()))


async def _answered() -> Lines:
    """Return the keys of what a webhook's sender, and whoever asks for the state, is answered."""
    asked = [("POST", "/hooks/github", signed()), ("POST", "/hooks/github", signed())]
    asked += [("POST", "/hooks/github", {}), ("GET", "/healthz", {}), ("GET", "/readyz", {})]
    found: dict[str, str] = {}
    with TemporaryDirectory() as folder:
        async with open_door(Path(folder)) as door:
            for method, path, headers in asked:
                answer = await door.post(path, headers, method=method)
                value = json.loads(answer.body)
                found |= {f"{method} {path} {answer.status} {key}": "" for key in keys(value)}
    return found


def _printed() -> Iterator[tuple[str, str]]:
    with TemporaryDirectory() as folder:
        data = Path(folder, "filled")
        fill(data)
        fill(data, preview_all)
        served = {
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": "a-secret-of-the-scenes-0123456789",
            "BRIDGE_GITHUB_TOKEN": "ghp_of-the-scenes",  # never sent: plans ask no Git host
            "BRIDGE_GITHUB_API_URL": "http://127.0.0.1:9",
            "BRIDGE_GITHUB_WEB_URL": "https://github.com",
        }
        with dokploy() as leads_there:
            for name, words in SCENES.items():
                if name == "held":
                    fill(data, _hold)
                yield name, printed(words, BRIDGE_DATA=str(data), **leads_there, **served)
        repository = str(Repository.make(Path(folder, "origin"), {"index.html": ""}).path)
        alone = {"BRIDGE_DATA": str(Path(folder, "embedded")), "BRIDGE_EMBEDDED_PORT": "0"}
        for name, words in EMBEDDED.items():
            more = (repository,) if name == "app create" else ()
            yield name, printed((*words, *more), **alone)
            if name == "app create":
                asyncio.run(_connect_account(alone))
        yield from zip(PLANNED, map(json.dumps, _plans()), strict=True)
        with _git_host() as leads_there:
            for name, words in HOOKS.items():
                yield name, printed(words, BRIDGE_DATA=str(data), **leads_there)


def _plans() -> tuple[Any, Any]:
    """Return a way back and a promotion, each in the form of `--json`."""
    old, new = (
        replace(
            deployment(seq, state=State.DONE), deployed_commit=str(seq) * 40, message="feat: it"
        )
        for seq in (1, 2)
    )
    here, there = app(), app("app-stage", environment="staging")
    plan = Plan(here, WayBack(Rung.KEPT, old, point="1"), Version.of(new), True, (), locks=True)
    found = Promotion(there, here, new, Rung.PIN, Version.of(old), (new,))
    call = Call("", {})
    shown = rollback_asked(here, plan.way, plan.served, plan.says, plan.warns, plan.holds, call)
    return data_of(shown.data), data_of(promotion_asked(found, call, "https://github.com/").data)


async def _hold(stores: Stores) -> None:
    """Have gates hold a deployment of shop/web."""
    (web,) = [one for one in await stores.journal.apps() if one.label == "shop/web"]
    new = replace(deployment(90, web.id, commit="9" * 40), app=web.label)
    decision = Decision(web.id, web.label, Reason.ASKED, "because")
    await stores.journal.record([Outcome(90, "d90", (decision,), (new,))], window=0)
    rules = Rules(approvals=1)
    proposal = Proposal("9" * 40, anyone=True)
    await stores.journal.judge(new.id, Judging(replace(web, rules=rules), proposal=proposal))


@contextmanager
def _git_host() -> Iterator[Mapping[str, str]]:
    """Run a Git host beside; yields the settings that lead there."""
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, Mapping[str, str]]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with FakeGithub() as fake:
            fake.repository("my-org/mono")
            ready.set_result((asyncio.get_running_loop(), over, fake.settings))
            await over.wait()

    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(asyncio.run, serve())
        loop, over, leads_there = ready.result(10)
        try:
            yield {**leads_there, "BRIDGE_PUBLIC_URL": "http://127.0.0.1:9"}
        finally:
            loop.call_soon_threadsafe(over.set)
            done.result(10)


async def _connect_account(given: Mapping[str, str]) -> None:
    async with api_of(read_settings(None, given)) as api:
        url = "https://gitlab.example.com"
        await api.ask("POST", "gitlab.create", name="ours", authId="x", gitlabUrl=url)


def printed(words: tuple[str, ...], **given: str) -> str:
    """Return what a command prints for a script."""
    out, beside = io.StringIO(), io.StringIO()
    seen = (redirect_stdout(out), redirect_stderr(beside), patch("sys.stdin", io.StringIO("A=b")))
    with environment(given), seen[0], seen[1], seen[2], suppress(typer.Exit):
        command()([*words, "--json"], prog_name="dokploy-bridge", standalone_mode=False)
    assert out.getvalue(), f"{words} prints no JSON: {beside.getvalue()}"
    return out.getvalue()


def keys(value: Any, above: str = "") -> Iterator[str]:
    """Yield the keys of a value and of all that is in it."""
    if isinstance(value, list):
        for inner in value:
            yield from keys(inner, f"{above}[]")
    elif isinstance(value, dict) and not DATA(above):
        for name, inner in value.items():
            yield f"{above}.{name}"
            yield from keys(inner, f"{above}.{name}")


# ── Closed lists of words ───────────────────────────────────────────────────────────────────────


def of_words() -> Lines:
    """Return reasons, states and the other words that scripts compare with, and exit codes."""
    found = {f"reason {one}": "deploys" if one in DEPLOYS else "skips" for one in Reason}
    found |= {f"state {one}": "an end" if one in FINAL else "goes on" for one in State}
    found |= {f"delivery {one}": "" for one in DeliveryState}
    found |= {f"webhook {name}": str(status) for status, name in OUTCOMES.items()}
    found |= {f"webhook {WRONG_PATH}": "404"}
    found |= {f"action {one}": "" for one in Action}
    found |= {f"right {one}": "" for one in Right}
    found |= {f"preview {one}": "" for one in PreviewState}
    found |= {f"preview reason {one}": "holds" if one in HOLDS else "" for one in Why}
    found |= {f"role {one}": "" for one in Role}
    found |= {f"check {one}": says for one, says in NAMES.items()}
    found |= {"chat help": "help [COMMAND]"}
    found |= {f"chat {one.name}": one.usage for one in usages()}
    return found | {f"exit code {code}": meaning for code, meaning in EXIT_CODES.items()}


# ── The record ──────────────────────────────────────────────────────────────────────────────────

SURFACES: Mapping[str, Callable[[], Lines]] = {
    "commands": of_commands,
    "settings": of_settings,
    "routes": of_routes,
    "json": of_json,
    "metrics": of_metrics,
    "words": of_words,
}
"""What asks the program, by the name of its file."""


def recorded(surface: str) -> Lines:
    """Return a surface as it was recorded."""
    rows = (RECORDED / f"{surface}.txt").read_text().splitlines()
    parts = [row.partition("  ") for row in rows]
    return {name: said for name, _, said in parts}


def written(lines: Lines) -> str:
    """Return the text that records a surface."""
    return "".join(f"{name}  {said}".rstrip() + "\n" for name, said in lines.items())


def differences(before: Lines, now: Lines) -> Iterator[str]:
    """Yield what differs, a line each."""
    for name, said in before.items():
        if name not in now:
            yield f"lost: {name}"
        elif said != now[name]:
            yield f"changed: {name}: {said!r} → {now[name]!r}"
    yield from (f"new: {name}" for name in now if name not in before)


def main() -> None:
    """Record everything anew."""
    RECORDED.mkdir(parents=True, exist_ok=True)
    for surface, ask in SURFACES.items():
        (RECORDED / f"{surface}.txt").write_text(written(ask()))


if __name__ == "__main__":
    main()
