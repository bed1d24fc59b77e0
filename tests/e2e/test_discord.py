"""From a push to messages in Discord, by a bridge that is killed on the way.

Discord limits how fast a webhook is used. However often the bridge dies, each deployment has one
message that shows its end; where Discord carried out a posting that the dead bridge did not hear
of, the outcome stands in a further one that says so.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bridge.messages.writer import POSTED_ANEW
from tests.chaos.cluster import Cluster, Process
from tests.chaos.recording_backend import RecordingBackend, push_payload, recording_backend
from tests.fakes.discord import TOKEN, FakeDiscord, Posted
from tests.fakes.github import FakeGithub
from tests.worlds.bridge import hook_headers
from tests.worlds.embedded import until

APPS = 15
DEATHS = 2
CHANNELS = ("0", "1", "2", "3", "4")
OPS = "600000000000000009"


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(allowed=4, per=1.0).running() as running:
        yield running
    assert running.wrong == []


@pytest.fixture
async def backend() -> AsyncIterator[RecordingBackend]:
    async with recording_backend(apps=APPS, build_seconds=0.2, listing_delay=0.0) as running:
        yield running


@pytest.fixture
async def github() -> AsyncIterator[FakeGithub]:
    async with FakeGithub() as host:
        yield host


@pytest.fixture(params=["sqlite", "postgres"])
async def cluster(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    backend: RecordingBackend,
    github: FakeGithub,
    discord: FakeDiscord,
) -> AsyncIterator[Cluster]:
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    hooks = {f"ch{n}": discord.webhook(f"60000000000000000{n}") for n in CHANNELS}
    rules = [{"apps": f"*/app-*{n}", "channels": [f"discord:ch{n}"]} for n in CHANNELS]
    settings = {
        "BRIDGE_DISCORD_API_URL": discord.url,
        "BRIDGE_DISCORD_WEBHOOK": discord.webhook(OPS),
        "BRIDGE_DISCORD_WEBHOOKS": json.dumps(hooks),
        "BRIDGE_RULES": json.dumps(rules),
        "BRIDGE_GITHUB_FEEDBACK": "none",
        "BRIDGE_FEEDBACK_LEASE": "1",
        "BRIDGE_FEEDBACK_DEBOUNCE": "0.05",
        "BRIDGE_FEEDBACK_RETRY": "0.2",
        "BRIDGE_SECRET_KEY": "k" * 40,
    }
    made = Cluster(tmp_path, backend, github, url, settings=settings)
    yield made
    await made.end()
    for log in tmp_path.glob("*.log"):
        assert TOKEN not in log.read_text()


async def push(process: Process, github: FakeGithub, apps: set[str]) -> None:
    repository = github.repository("my-org/mono")
    files = [dict.fromkeys((f"{app}/file" for app in apps), text) for text in ("1", "2")]
    before, after = map(repository.commit, files)
    payload = push_payload(before, after, apps)
    content = httpx.Request("POST", process.url, json=payload).content
    headers = hook_headers("github", payload, content)
    async with httpx.AsyncClient(base_url=process.url, trust_env=False) as web:
        answer = await web.post("/hooks/github", content=content, headers=headers)
    assert answer.status_code == 202, answer.text


def by_app(discord: FakeDiscord) -> dict[str, list[Posted]]:
    """All messages of each app, oldest first."""
    found = defaultdict(list)
    for one in discord.messages:
        found[one.title.split()[1]].append(one)
    return found


async def test_a_burst_ends_with_every_message_right_and_none_posted_twice(
    cluster: Cluster, discord: FakeDiscord, github: FakeGithub
) -> None:
    process = cluster.new("all")
    killed = asyncio.Event()

    async def kill() -> None:
        assert process.running is not None
        process.running.kill()
        killed.set()

    await process.started()
    await push(process, github, {f"app-{n}" for n in range(APPS)})
    for _ in range(DEATHS):
        discord.then += [_nothing] * 8 + [kill]
        async with asyncio.timeout(60):
            await killed.wait()
        discord.then.clear()
        killed.clear()
        await process.kill()
        await process.started()

    async def open_ones() -> list[str]:
        found = by_app(discord)
        done = [app for app, those in found.items() if those[-1].title.endswith("is live")]
        return [f"app {n}" for n in range(APPS - len(done))]

    await until(open_ones, lambda found: not found, patience=120.0)

    found = by_app(discord)
    assert len(found) == APPS
    anew = [those for those in found.values() if len(those) > 1]
    assert len(anew) <= DEATHS * (len(CHANNELS) + 1), "one in flight by each webhook"
    for *unheard, outcome in anew:
        assert all(one.edits == [] for one in unheard), "nothing was known of them"
        assert POSTED_ANEW in outcome.embed["description"]
    hooks = {app: {one.hook for one in those} for app, those in found.items()}
    assert all(len(those) == 1 for those in hooks.values())
    assert hooks["shop/app-13"] == {"600000000000000003"}
    assert hooks["shop/app-7"] == {OPS}


async def _nothing() -> None:
    """Go on."""
