"""What a terminal is shown, scene by scene: the golden files in `tests/fixtures/terminal`.

After a change of what is shown, write them anew, and look at the difference:

    python -m tests.scenes.terminal
"""

import asyncio
import io
import json
import logging
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import typer

from bridge.cli.every import app
from bridge.core.apps import App, AppKind, Source, SourceType, Trigger
from bridge.core.configuration.difference import Changed
from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, NoteKind, State, deployment_id
from bridge.core.people import Actor, Cause, Origin
from bridge.core.refused import RefusedWebhooks
from bridge.ports.inbox import DeliveryState, Finished, NewDelivery
from bridge.ports.outcomes import DONE, Audited, Outcome, PushSeen, Subscription, about_deployment
from bridge.settings import read_settings
from tests.fakes.journey import ManualClock
from tests.scenes.dokploy import dokploy
from tests.scenes.gates import GATES, gated
from tests.scenes.hostile import BRANCH, DEEP, EVIL, LONG
from tests.scenes.live import LIVE, PROMOTE, living
from tests.scenes.previewed import PREVIEWS, previewed
from tests.scenes.setup_changes import BEFORE, SETTING_UP, services, steady

if TYPE_CHECKING:
    from bridge.app.storage import Stores

GOLDEN = Path(__file__).parents[1] / "fixtures" / "terminal"
WIDTHS = (80, 100)

NOW = 1_779_969_600.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
DISK = shutil.disk_usage("/")._replace(free=2**29)
"""A disk with little room."""

WHY = "fatal: could not read from https://github.com/my-org/mono.git: repository not found"
TAIL = f"Cloning into 'code'...\n#5 [3/3] RUN make {EVIL}\n{WHY}\n{'x' * 130}"
SHAS = {name: digit * 40 for name, digit in zip(("old", "new", "bad"), "0ab", strict=True)}

NO_BRANCH = f"fatal: Remote branch {BRANCH} not found in upstream origin"

GIT = Source(SourceType.GITHUB, repository="my-org/mono", branch="main")
WEB = App("app_web", "web", "shop", source=GIT, watch_paths=("web/**",), auto_deploy=True)
API = App("app_api", "api", "shop", source=GIT, trigger=Trigger.TAG)
WORKER = App(
    "app_worker",
    "worker-that-sends-the-newsletters",
    LONG,
    environment="staging",
    source=Source(SourceType.GITLAB, repository=f"{LONG}/a/b/c/mono", branch=BRANCH),
    watch_paths=("services/worker/**", "libraries/**", "!**/*.md"),
)
IMAGE = App("app_image", "db", "shop", source=Source(SourceType.DOCKER, image="postgres:17"))
STACK = App("app_stack", "stack", "shop", kind=AppKind.COMPOSE, source=Source(SourceType.RAW))
ODD = App("app_odd", f"odd {EVIL}", "shop", source=replace(GIT, branch=f"x{EVIL}"))
OLD = App("app_old", "old", "shop", source=GIT)
BROKEN = App("app_broken", "broken", "shop", source=Source(SourceType.RAW))
HALF = App("app_half", "half", "shop", source=Source(SourceType.BITBUCKET, repository="o/mono"))
APPS = (WEB, API, WORKER, IMAGE, STACK, ODD, OLD, HALF, BROKEN)

SCENES: Mapping[str, tuple[str, ...]] = {
    "apps": ("apps",),
    "apps-filtered": ("apps", "web", "mono"),
    "apps-gone": ("apps", "--gone"),
    "audit": ("audit",),
    "config-check": ("config", "check"),
    "deliveries": ("deliveries",),
    "deliveries-failed": ("deliveries", "--failed"),
    "deliveries-none": ("deliveries", "--repo", "my-org/mnoo"),
    "deliveries-refused": ("deliveries", "--refused"),
    "deliveries-show": ("deliveries", "show", "72d3162e"),
    "deployments": ("deployments",),
    "deployments-show": ("deployments", "show", f"{3:016d}.app_web"),
    "deployments-several": ("deployments", "show", "3"),
    "explain": ("explain", "72d3162e"),
    "feedback": ("feedback",),
    "feedback-none": ("feedback", "retry", "nope"),
    "logs-gone": ("logs", "shop/old"),
    "why": ("why", "shop/web"),
    "why-long": ("why", WORKER.label),
    "why-refused": ("why", "shop/web", "f" * 40),
}


OVER_HTTP: Mapping[str, tuple[str, ...]] = {
    "build-show": ("build", "show", "shop/web"),
    "build-show-long": ("build", "show", WORKER.label),
    "build-show-odd": ("build", "show", ODD.id),
    "build-show-stack": ("build", "show", "shop/stack"),
    "config-show": ("config", "show"),
    "doctor": ("doctor",),
    "env-show": ("env", "show", "shop/web"),
    "env-show-long": ("env", "show", WORKER.label, "--reveal"),
    "env-show-none": ("env", "show", "shop/db"),
    "env-show-odd": ("env", "show", ODD.id, "--reveal"),
    "logs": ("logs", "shop/web"),
    "logs-deployment": ("logs", "shop/web", "--deployment", "3", "--lines", "6"),
    "logs-cleared": ("logs", WORKER.label),
    "logs-forgotten": ("logs", ODD.id, "--deployment", "3"),
    "logs-none": ("logs", "shop/db"),
    "logs-odd": ("logs", ODD.id),
    "logs-unknown": ("logs", "shop/web", "--deployment", EVIL),
    "provider-show": ("provider", "show", "shop/web"),
    "provider-show-away": ("provider", "show", OLD.id),
    "provider-show-broken": ("provider", "show", "shop/broken"),
    "provider-show-down": ("provider", "show", "shop/web"),
    "provider-show-forbidden": ("provider", "show", "shop/api"),
    "provider-show-half": ("provider", "show", "shop/half"),
    "provider-show-key": ("provider", "show", "shop/web"),
    "provider-show-image": ("provider", "show", "shop/db"),
    "provider-show-long": ("provider", "show", WORKER.label),
    "provider-show-odd": ("provider", "show", ODD.id),
    "provider-show-stack": ("provider", "show", "shop/stack"),
}
"""Scenes of commands that ask a Dokploy."""

OTHERWISE = {
    "provider-show-key": {"BRIDGE_DOKPLOY_API_KEY": "z" * 26},
    "provider-show-down": {
        "BRIDGE_DOKPLOY_URL": "http://127.0.0.1:1",  # nobody listens there
        "BRIDGE_DOKPLOY_READ_RETRIES": "0",
    },
}
"""Settings of scenes in which it refuses the key, or is not there."""


ALL = (*SCENES, *OVER_HTTP, *SETTING_UP, *GATES, *LIVE, *PROMOTE, *PREVIEWS)

RULES = "- {apps: shop/api, tags: v*, versions: '>=1.2 <2'}"


CLOCK = ManualClock(NOW)
"""What the stores take for now."""


class Tty(io.StringIO):
    """A terminal that remembers what it was shown."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """A person reads it."""
        return True


def shown(
    data: Path,
    words: tuple[str, ...],
    width: int,
    *,
    colours: bool = False,
    rules: str = RULES,
    more: Mapping[str, str] | None = None,
) -> str:
    """What a person sees of a command on a terminal that wide.

    Args:
        more: settings besides those of all scenes.
    """
    tty = Tty()
    given = {
        "BRIDGE_DATA": str(data),
        "COLUMNS": str(width),
        "LINES": "50",
        "TERM": "xterm-256color" if colours else "dumb",
        "TZ": "UTC",
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": "short",
        "BRIDGE_RULES": rules,
        **(more or {}),
    }
    seen = (redirect_stdout(tty), redirect_stderr(tty), suppress(typer.Exit))
    with environment(given), seen[0], seen[1], seen[2]:
        command()(list(words), prog_name="dokploy-bridge", standalone_mode=False)
    text = tty.getvalue()
    return text if colours else "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def scene(data: Path, name: str, width: int, more: Mapping[str, str]) -> str:
    """What a person sees in a scene.

    Args:
        more: the settings that lead to the scenes' Dokploy, whose port is another each time.
    """
    if name in SCENES:
        return shown(data, SCENES[name], width)
    if name in GATES:
        with gated(data, NOW) as theirs, patch("getpass.getuser", lambda: "ada"):
            return shown(data, GATES[name], width, more=theirs)
    if name in PREVIEWS:
        with previewed(data, NOW) as theirs, patch("getpass.getuser", lambda: "ada"):
            return shown(data, PREVIEWS[name], width, more=theirs)
    if name in LIVE:
        with living(NOW) as theirs:
            return shown(data, LIVE[name], width, more=theirs)
    if name in PROMOTE:
        with living(NOW, production=True) as theirs:
            return shown(data, PROMOTE[name], width, more=theirs)
    if name in SETTING_UP:
        with services(data) as theirs:
            if before := BEFORE.get(name):
                shown(data, before, width, more=theirs)
            return steady(shown(data, SETTING_UP[name], width, more=theirs))
    seen = shown(data, OVER_HTTP[name], width, more={**more, **OTHERWISE.get(name, {})})
    seen = seen.replace(more["BRIDGE_DOKPLOY_URL"], "http://127.0.0.1:30000")
    return seen.replace(str(data), "/srv/bridge")


@cache
def command() -> Any:
    """The command line, put together once: that takes longer than most commands."""
    return typer.main.get_command(app)


@contextmanager
def environment(given: Mapping[str, str]) -> Iterator[None]:
    others = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "DATABASE_"))}
    with (
        TemporaryDirectory() as folder,
        patch.dict(os.environ, {**others, **given}, clear=True),
        patch("time.time", lambda: NOW),
        patch("shutil.disk_usage", lambda _path: DISK),
    ):
        before, level = Path.cwd(), logging.getLogger("bridge").level
        os.chdir(folder)
        time.tzset()
        try:
            yield
        finally:
            os.chdir(before)
            logging.getLogger("bridge").setLevel(level)  # a check turns it down
    time.tzset()


def fill(data: Path, work: Callable[["Stores"], Awaitable[None]] | None = None) -> None:
    """A bridge's data in which much has gone wrong, or what else is done with its stores."""

    from bridge.app.storage import open_stores  # heavy: most scenes need no stores

    async def run() -> None:
        settings = read_settings(None, {"BRIDGE_DATA": str(data)})
        async with open_stores(settings, clock=CLOCK) as stores:
            await (work or _fill)(stores)

    asyncio.run(run())


async def _fill(stores: "Stores") -> None:
    journal = stores.journal
    await journal.save_apps("dokploy", APPS)
    await push(stores, 1, "old", 3 * DAY, (WEB, State.DONE, "commit 0000000 is live"))
    builds = (WORKER, State.RUNNING, f"{NO_BRANCH} at first; builds")
    await push(stores, 2, "new", 2 * HOUR, builds, author=f"Eve {EVIL}", branch=BRANCH)
    failed = (WEB, State.FAILED, WHY)
    hostile = (ODD, State.FAILED, f"make: {EVIL} *** no rule to make {DEEP}")
    await push(stores, 3, "bad", 12 * MINUTE, failed, hostile, skipped=(API, WORKER))
    await push(stores, 4, "bad", 5 * MINUTE, (OLD, State.FAILED, "no rule to make target"))
    await journal.renew_apps([], gone=[OLD.id])
    await _others(stores)
    await journal.keep_refused(_refused())
    await journal.audit(
        Audited(
            at=NOW - DAY,
            by=Actor("cli", "ada"),
            what="provider set",
            app_id=WORKER.id,
            app=WORKER.label,
            difference=(
                Changed("branch", "main", "release/2026-05"),
                Changed("watch_paths", ("a/**",), (DEEP, f"!{EVIL}")),
            ),
            result=DONE,
        )
    )
    await _feedback(stores)


async def push(
    stores: "Stores",
    seq: int,
    commit: str,
    age: float,
    *deployed: tuple[App, State, str],
    skipped: tuple[App, ...] = (),
    author: str = "Ada Lovelace",
    evidence: str = f"{DEEP} matches web/**",
    tail: str = TAIL,
    repository: str = "my-org/mono",
    branch: str = "main",
) -> None:
    """A push that was decided, and what became of the deployments that it led to."""
    id_ = f"{'72d3162e' if seq == 3 else f'{seq:08d}'}-cc78-11e3-81ab-4c9367dc0958"
    commit = SHAS.get(commit, commit)
    CLOCK.now = NOW - age
    ref = f"refs/heads/{branch}"
    body = json.dumps(_payload(commit) | {"ref": ref})
    new = NewDelivery("github", id_, "push", {"x": EVIL}, body.encode(), NOW - age)
    await stores.inbox.keep(new)
    made = tuple(
        replace(_deployment(seq, id_, one, commit, age, author), ref=ref) for one, _, _ in deployed
    )
    decisions = (
        *(Decision(one.id, one.label, Reason.PATH_HIT, evidence) for one, _, _ in deployed),
        *(
            Decision(one.id, one.label, Reason.NO_PATH_HIT, "1 file changed, none matches")
            for one in skipped
        ),
    )
    seen = PushSeen(
        f"github 4711 {ref}",
        SHAS["old"],
        commit,
        moment=str(seq),
        repository=repository,
        author=author,
    )
    await stores.journal.record([Outcome(seq, id_, decisions, made, seen)], window=0)
    await stores.inbox.finish([Finished(seq, "github", id_, DeliveryState.DECIDED)])
    for (_, state, note), one in zip(deployed, made, strict=True):
        facts = _facts(state, commit, age)
        if state is State.FAILED:
            facts["log_tail"] = tail
        await stores.journal.move(one.id, state, note, **facts)


def _payload(commit: str) -> dict[str, Any]:
    head = {"id": commit, "message": "x", "added": [DEEP], "removed": [], "modified": []}
    return {
        "ref": "refs/heads/main",
        "before": SHAS["old"],
        "after": commit,
        "repository": {"id": 4711, "name": "mono", "full_name": "my-org/mono"},
        "head_commit": head,
        "commits": [head],
    }


def _deployment(
    seq: int, delivery: str, of: App, commit: str, age: float, author: str
) -> Deployment:
    return Deployment(
        id=deployment_id(seq, of.id),
        seq=seq,
        delivery=delivery,
        app_id=of.id,
        app=of.label,
        action=Action.DEPLOY,
        origin=Origin(Cause.PUSH, found=seq == 2),
        state=State.WAITING,
        created_at=NOW - age,
        ref="refs/heads/main",
        commit=commit,
        message=f"feat: {EVIL}",
        author=author,
        note="waits for its turn",
    )


def _facts(state: State, commit: str, age: float) -> dict[str, Any]:
    facts: dict[str, Any] = {"started_at": NOW - age + 2, "backend_id": "4qYzJ5bT"}
    if state is State.RUNNING:
        return facts
    facts["finished_at"] = NOW - age + 44
    if state is State.FAILED:
        return facts
    return facts | {"deployed_commit": commit, "note_kind": NoteKind.LIVE}


async def _others(stores: "Stores") -> None:
    """Deliveries that were not decided."""
    elsewhere = _payload(SHAS["new"])
    elsewhere["repository"] |= {"id": 1, "full_name": f"{LONG}/{'x' * 60}"}
    name = elsewhere["repository"]["full_name"]
    why = f"no app deploys from {name} on github"
    for seq, id_, body, state, error in (
        (5, "malformed", b"{", DeliveryState.FAILED, f"github push: {EVIL} is no JSON"),
        (6, "elsewhere", None, DeliveryState.IGNORED, why),
        (7, "waiting", None, DeliveryState.KEPT, None),
    ):
        sent = json.dumps(elsewhere).encode() if body is None else body
        await stores.inbox.keep(NewDelivery("github", id_, "push", {}, sent, NOW - 40 + seq))
        unused = name if error == why else None
        await stores.inbox.finish([Finished(seq, "github", id_, state, error, unused=unused)])


WRONG_SECRET = RefusedWebhooks(
    minute=NOW - MINUTE,
    host="github",
    reason="unauthorized",
    path="/hooks/github",
    network="140.82.115.0/24",
    repository="4711",
    why="X-Hub-Signature-256 does not fit the body: is the webhook's secret one of ours?",
    count=17,
    last=NOW - 30,
)


def _refused() -> list[RefusedWebhooks]:
    path = replace(
        WRONG_SECRET,
        reason="wrong_path",
        path="/api/v1/webhook",
        network="2001:db8:1::/48",
        repository="",
        why="there is nothing at /api/v1/webhook; GitHub's webhooks go to /hooks/github",
        count=1,
        last=NOW - 2 * HOUR,
    )
    return [WRONG_SECRET, path, replace(path, path=f"/{EVIL}/{'long' * 20}", last=NOW - 2 * DAY)]


async def _feedback(stores: "Stores") -> None:
    follows = (about_deployment(deployment_id(3, WEB.id)),)
    card = f"slack.card {deployment_id(3, WEB.id)} C024BE91L"
    status = f"github.status 4711 {SHAS['bad']} shop/web"
    comment = f"github.comment 4711 {'9' * 60}"
    await stores.journal.subscribe(
        [
            Subscription(id_, id_.partition(" ")[0], "lane", follows, {})
            for id_ in (card, status, comment)
        ]
    )
    await stores.journal.mark_published(card, 99)
    refused = "github: 403 Resource not accessible by integration; give the App the right to"
    await stores.journal.mark_failed(status, 99, f"{refused} write statuses", due_at=NOW + 60)
    await stores.journal.mark_failed(comment, 99, f"github: {EVIL} gone", due_at=None)


def golden(name: str, width: int) -> Path:
    """The golden file of a scene at a width."""
    return GOLDEN / f"{name}.{width}.txt"


def main() -> None:
    """Write all golden files anew."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for file in GOLDEN.glob("*.txt"):
        file.unlink()
    with TemporaryDirectory() as folder:
        data = Path(folder, "data")
        fill(data)
        with dokploy() as more:
            for name in ALL:
                for width in WIDTHS:
                    golden(name, width).write_text(scene(data, name, width, more))


if __name__ == "__main__":
    main()
