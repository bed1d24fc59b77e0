"""No secret that a build prints is seen in the journal, a comment, a card, a page or a log."""

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from bridge.cli.deployments import tail_lines
from bridge.cli.logs import ConsoleLines, JsonLines
from bridge.core import secret_shapes
from bridge.core.apps import Rules
from bridge.core.errors import Refused
from bridge.core.lifecycle import Deployment, State
from bridge.core.masking import always_hidden
from bridge.core.policies import VerifyPolicy
from bridge.core.variables import assignment
from bridge.outbound import MOST_EVIDENCE
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.ports.backends import Progress
from bridge.ports.probes import Answer
from bridge.settings import Settings, read_settings, secrets_of
from bridge.views.deployment_lists import change_form, ended_form
from tests.fakes.journey import FakeBackend, KeptSteps, ManualClock
from tests.unit.test_masking import SECRETS, VALUES
from tests.worlds.amended import World
from tests.worlds.deployer import Stage
from tests.worlds.embedded import Repository, path_with, running_server
from tests.worlds.journal import journal_in_memory
from tests.worlds.secrets import FORMS, KINDS, printed, traces

OWN = "our-own-k3y-of-the-backend"
TOKENS = {"BRIDGE_DOKPLOY_URL": "http://localhost:1", "BRIDGE_DOKPLOY_API_KEY": OWN}
CLOSING = "\n\nError occurred ❌, check the logs for details."


async def everywhere(world: World, stage: Stage, one: Deployment) -> dict[str, str]:
    """Return what each place shows of a deployment, and what is stored of it."""
    changes = await stage.journal.changes(one.id)
    logs = BuildLogs({"dokploy": stage.backend}, stage.journal)
    return await world.places() | {
        "stored": repr((one.note, one.log_tail, changes)),
        "console": await world.page(one),
        "first page": await world.first_page(),
        "live log": await logs.tail(one),
        "--json": json.dumps([ended_form(one), *map(change_form, changes)], ensure_ascii=False),
        "terminal": "\n".join(tail_lines(one)),
    }


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Keep all that the bridge logs meanwhile, in both forms."""
    kept, logger = io.StringIO(), logging.getLogger("bridge")
    handlers = [logging.StreamHandler(kept), logging.StreamHandler(kept)]
    handlers[0].setFormatter(JsonLines())
    handlers[1].setFormatter(ConsoleLines(colours=False))
    level = logger.level
    logger.setLevel(logging.DEBUG)
    for one in handlers:
        logger.addHandler(one)
    try:
        yield kept
    finally:
        logger.setLevel(level)
        for one in handlers:
            logger.removeHandler(one)


async def shown_of(lines: list[str], variables: str, error: str | None = None) -> dict[str, str]:
    """Return what is shown anywhere of a build that printed these lines, and failed."""
    clock = ManualClock()
    journal = journal_in_memory(clock)
    try:
        world, stage = World(clock, journal), Stage(clock, FakeBackend(clock), journal)
        stage.backend.variables, stage.backend.ending = variables, Progress.ERROR
        stage.backend.log, stage.backend.error = "\n".join(lines) + CLOSING, error
        stage.backend.found = [stage.app]
        await journal.save_apps("dokploy", [stage.app])
        new = world._pushed()
        await world._recorded(new)
        with always_hidden(secrets_of(read_settings(None, TOKENS))), logged() as log:
            await stage.deployer().run(KeptSteps(), new.id)
            await world.rest()
            one = await stage.now(new)
            assert one.state is State.FAILED
            return await everywhere(world, stage, one) | {"log": log.getvalue()}
    finally:
        await journal.stop()


GROUPS = [sorted(KINDS)[first::6] for first in range(6)]
"""All kinds, up to eight in a build: an excerpt has fifteen lines."""


@pytest.mark.parametrize("kinds", GROUPS, ids=" + ".join)
@settings(max_examples=2, deadline=None)
@given(
    st.lists(SECRETS, min_size=8, max_size=8),
    st.lists(st.tuples(st.sampled_from(sorted(FORMS)), VALUES), min_size=1, max_size=3),
    st.integers(0, 7),
)
def test_no_planted_secret_is_seen_anywhere(
    kinds: list[str], secrets: list[str], values: list[tuple[str, str]], reason: int
) -> None:
    variables = "\n".join(assignment(f"GREETING_{n}", value) for n, (_, value) in enumerate(values))
    lines = [f"error: {printed(*one)}" for one in zip(kinds, secrets, strict=False)]
    lines += [f"error: it says {FORMS[form](value)} here" for form, value in values]
    lines += [f"error: the key {OWN} is refused"]
    lines = lines[reason:] + lines[:reason]

    shown = asyncio.run(shown_of(lines, variables))

    seen = {OWN} | {trace for _, value in values for trace in traces(value)}
    seen |= {part for one in secrets for part in (one[:16], one[:16].upper())}
    leaks = [(place, trace) for place, text in shown.items() for trace in seen if trace in text]
    assert leaks == []
    assert {"slack", "discord", "status"} <= {place.partition(" ")[0] for place in shown}
    told = {"comment 1", "stored", "console", "live log", "--json", "terminal"}
    assert all("***" in shown[place] for place in told)


SECRET = "Tr0ub4dor+3@home"


def unhealthy(variables: str, answer: str, body: str, printed: str = "") -> Stage:
    """Return a stage on which an app is live and answers with an error."""
    clock = ManualClock()
    backend = FakeBackend(clock, variables=variables, printed=printed)
    stage = Stage(clock, backend, journal_in_memory(clock))
    stage.rules = Rules(verify=VerifyPolicy(url="http://shop.example.com/"))
    stage.site.answers = lambda url: Answer(url, 500, answer, body[:MOST_EVIDENCE])
    return stage


async def test_what_an_unhealthy_app_answers_and_prints_is_masked() -> None:
    words = (f"Broken by {SECRET}", f"<p>{SECRET}</p>", f"no login with {SECRET}")
    stage = unhealthy(f"GREETING={SECRET}", *words)

    one = await stage.run()

    assert one.state is State.UNHEALTHY
    assert SECRET not in repr((one, await stage.history(one)))
    assert "Broken by ***" in one.note
    assert (one.log_tail or "").split("\n")[1:] == [
        "***",
        "printed by its container:",
        "no login with ***",
    ]
    await stage.journal.stop()


@pytest.mark.parametrize("size", [4096, MOST_EVIDENCE])
async def test_an_answer_is_cut_after_it_is_masked(size: int) -> None:
    url = "postgres://shop:k3J9xQ2mZ8rT5vW1@db.example.com:5432/shop"
    stage = unhealthy(f"DATABASE_URL={url}", "No", "x" * (size - 30) + url)

    one = await stage.run()

    assert "xxx" in (one.log_tail or "")
    assert "k3J9" not in repr((one, await stage.history(one)))
    await stage.journal.stop()


async def test_nothing_of_a_log_is_shown_if_the_values_to_hide_are_not_known() -> None:
    clock = ManualClock()
    backend = FakeBackend(clock, ending=Progress.ERROR, error=f"error: {SECRET}")
    stage = Stage(clock, backend, journal_in_memory(clock))
    stage.backend.log = f"error: {SECRET}{CLOSING}"
    stage.backend.next("mask", Refused("dokploy", "you may not read this app", status=403))

    one = await stage.run()

    assert (one.state, one.log_tail) == (State.FAILED, None)
    assert one.note == (
        "the build failed; its log may hold values of variables, which can't be read, so they"
        " can't be hidden: dokploy: you may not read this app"
    )
    stage.backend.next("mask", Refused("dokploy", "you may not read this app", status=403))
    assert await BuildLogs({"dokploy": backend}, stage.journal).tail(one) == ""
    await stage.journal.stop()


async def test_build_arguments_are_hidden_in_the_log_of_a_build(tmp_path: Path) -> None:
    files = {"Dockerfile": "FROM scratch\nARG BUILD_CODE\n"}
    repository = Repository.make(tmp_path / "repository", files)
    tool = 'case "$1" in build*) echo "fetching with k3J9xQ2mZ8rT5vW1";; esac; exit 1'
    search_path = path_with(tmp_path / "tools", docker=tool)
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        app = await client.app("web", repository.url, buildType="dockerfile")
        args = {"buildArgs": "BUILD_CODE=k3J9xQ2mZ8rT5vW1", "buildSecrets": ""}
        await client.save_env(app["applicationId"], "A=1", **args)
        log = await client.log(await client.deployed(app["applicationId"]))

    assert "fetching with ***" in log


async def test_no_long_text_is_examined_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[tuple[bool, int]] = []

    def without_shapes(text: str) -> str:
        examined.append((threading.current_thread() is threading.main_thread(), len(text)))
        return secret_shapes.without_shapes(text)

    monkeypatch.setattr("bridge.core.masking.without_shapes", without_shapes)
    line = "error: " + "token=x " * 400
    await shown_of([line] * 70, f"GREETING={SECRET}")

    assert max(length for on_loop, length in examined if on_loop) < 5_000
    assert max(length for on_loop, length in examined if not on_loop) > 40_000


def filled(kind: Any, planted: list[str]) -> Any:
    """Return a value of a setting's type, with a new secret wherever one may be."""
    if kind is SecretStr:
        planted.append(f"planted-{len(planted)}-8h2k")
        return SecretStr(planted[-1])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {name: filled(one.annotation, planted) for name, one in kind.model_fields.items()}
        return kind.model_construct(**fields)
    parts = [part for part in get_args(kind) if part is not type(None)]
    match get_origin(kind):
        case origin if origin is dict:
            return {"name": filled(parts[1], planted)}
        case origin if origin is tuple:
            return (filled(parts[0], planted),)
        case _:
            found = (filled(part, planted) for part in parts)
            return next((one for one in found if one is not None), None)


def test_every_secret_of_the_settings_is_hidden() -> None:
    planted: list[str] = []
    mask = secrets_of(filled(Settings, planted))

    assert len(planted) >= 30
    assert [one for one in planted if mask.hide(one) != "***"] == []
