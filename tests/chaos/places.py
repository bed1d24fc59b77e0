"""Every place that says what is live, read as people read it."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from bridge.app.storage import Stores, open_stores
from bridge.console.visitors import new_link
from bridge.core.lifecycle import Deployment
from tests.chaos.stage import Stage
from tests.chaos.verdicts import Record
from tests.worlds.amended import CLAIM, NOW
from tests.worlds.setup import command

OBJECT = re.compile(r"by dokploy-bridge, deployment (\S+)$")
COMMIT = re.compile(r"\b[0-9a-f]{7}\b")
LIVE_ROW = re.compile(r'<li class="row">(?:(?!</li>).)*?\blive now\b.*?</li>', re.DOTALL)
CONFIRMS = "What is live now stays live"
"""What the button to cancel says, of whatever version."""

LINK = re.compile(r'href="/console/deployments/([^"]+)"')


@dataclass(frozen=True)
class Claim:
    """What a place says to be live.

    Attributes:
        place: where that is said.
        commit: the beginning of the commit's name; "" if it names none.
        works: whether it is said to have been verified.
    """

    place: str
    app: str
    commit: str
    works: bool = False


async def claims(stage: Stage, record: Record) -> list[Claim]:
    """Return all that is said to be live, at each place."""
    async with open_stores(stage.fleet.settings) as stores:
        on_pages = await _console(stage, stores, record)
    return [
        *_cards(stage, record),
        *_comments(stage, record),
        *_statuses(stage),
        *_objects(stage, record),
        *on_pages,
        *await _apps(stage),
    ]


def _by_id(record: Record) -> dict[str, Deployment]:
    return {one.id: one for one in record.deployments}


def _claim(place: str, one: Deployment) -> Claim:
    return Claim(f"{place} of #{one.seq}", one.app_id, one.deployed_commit or "")


def _cards(stage: Stage, record: Record) -> Iterator[Claim]:
    """Cards say it of their own deployment; a line of a thread never does, as it stays."""
    ours = _by_id(record)
    for channel in stage.slack.channels.values():
        for message in channel.messages:
            said = json.dumps([message["text"], message.get("blocks")], ensure_ascii=False)
            said = said.replace(CONFIRMS, "")
            one = ours.get(message["metadata"]["event_payload"].get("deployment", ""))
            if one is None:
                continue
            if "thread_ts" in message:
                yield from (Claim(f"a thread's {said}", one.app_id, "") for _ in _found(NOW, said))
            elif found := CLAIM.search(said):
                yield _claim(f"the card ({said[max(0, found.start() - 40) : found.end()]!r})", one)


def _found(pattern: re.Pattern[str], said: str) -> list[str]:
    return pattern.findall(said)[:1]


def _comments(stage: Stage, record: Record) -> Iterator[Claim]:
    """A line is about one app; the first commit that it names is what it says to be live."""
    apps = {one.app: one.app_id for one in record.deployments}
    for repository in stage.repositories.values():
        for pull in repository.pulls.values():
            for line in "\n".join(one.body for one in pull.comments).split("\n"):
                if CLAIM.search(line) is None:
                    continue
                named = next((apps[app] for app in apps if app in line), "")
                first = COMMIT.search(line)
                yield Claim(f"#{pull.number}'s {line!r}", named, first[0] if first else "")


def _statuses(stage: Stage) -> Iterator[Claim]:
    """A status stays as it was written, so it never says it."""
    for repository in stage.repositories.values():
        newest = {(one["sha"], one["context"]): one for one in repository.statuses}
        for (sha, context), one in newest.items():
            if NOW.search(said := str(one.get("description"))):
                app = context.rpartition("/")[2]
                yield Claim(f"the status {said!r} of {sha[:7]}", app, "")


def _objects(stage: Stage, record: Record) -> Iterator[Claim]:
    """The host calls an object active while its newest status is `success`."""
    ours = _by_id(record)
    for repository in stage.repositories.values():
        for made in repository.deployments.values():
            found = OBJECT.search(made.description)
            if found and found[1] in ours and made.states and made.states[-1]["state"] == "success":
                yield _claim("the host's object", ours[found[1]])


async def _apps(stage: Stage) -> list[Claim]:
    """`apps` tells what each app serves, and whether it works."""
    code, said = await command("apps", "--json", **stage.fleet.variables)
    assert code == 0, said
    found = [(one["app"], one["live"], one["serving"]) for one in json.loads(said)]
    return [
        Claim("`apps`", label.rpartition("/")[2], live["commit"], serving["verdict"] == "verified")
        for label, live, serving in found
        if live and live["commit"]
    ]


async def _console(stage: Stage, stores: Stores, record: Record) -> list[Claim]:
    """The list of apps, the list of deployments, and the page of each app."""
    url = stage.fleet.urls[0]
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20.0) as web:
        await web.get((await new_link(stores.journal, url)).removeprefix(url))
        ours, found = _by_id(record), []
        for row in LIVE_ROW.findall(await _page(web, "/console/deployments")):
            linked = LINK.search(row)
            one = ours.get(html.unescape(linked[1])) if linked else None
            if one is not None:
                found.append(_claim("the console's deployments", one))
        for app in stage.apps:
            version = re.search(
                r"<dt>Version</dt><dd><code>(\w+)</code>.*?<dt>State</dt><dd>([^<]*)</dd>",
                await _page(web, f"/console/apps/{app}"),
                re.DOTALL,
            )
            if version is not None:
                works = version[2].endswith(", verified") or version[2] == "verified"
                found.append(Claim("the console's page", app, version[1], works))
        return found


async def _page(web: httpx.AsyncClient, path: str) -> str:
    answer = await web.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return answer.text
