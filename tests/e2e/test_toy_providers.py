"""A Git host, a backend and a chat that the bridge never heard of, each registered by one line.

A push goes from the door over the decision and the deployment to the comment and the card.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

import bridge
from tests.chaos.cluster import free_port
from tests.fakes.serving import served
from tests.fakes.toy_backend import Yard
from tests.fakes.toy_host import seal_of
from tests.worlds.bridge import Origin
from tests.worlds.embedded import until

ROOT = Path(bridge.__file__).parents[1]
SEAL, TOKEN = "the seal of the toys", "the-token-of-the-toys"
PASSWORD = "over"
SHELF = "shelf-7"


@dataclass
class Toybox:
    """The servers of the toys, which remember what was written there."""

    url: str = ""
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    lamps: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    cards: dict[str, list[dict[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """What the chat has said of each deployment."""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/cards", self._spoken)
        app.router.add_route("*", f"/{SHELF}/{{kind}}/{{of}}", self._asked)
        return app

    async def _spoken(self, request: web.Request) -> web.Response:
        assert request.headers["Walkie-Password"] == PASSWORD
        card = await request.json()
        self.cards[card.pop("id")].append(card)
        return web.json_response({})

    async def _asked(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers.get("Toybox-Token"))
        kind, of = request.match_info["kind"], request.match_info["of"]
        said = await request.json()
        if kind == "swaps":
            return web.json_response([{"number": 3, "branch": "main"}])
        if kind == "lamps":
            self.lamps.append({"commit": of, **said})
            return web.json_response({})
        notes = self.notes[of]
        if request.method == "POST":
            notes.append(said["body"])
        elif request.method == "PUT":
            notes[said["id"]] = said["body"]
        else:
            return web.json_response([{"id": n, "body": body} for n, body in enumerate(notes)])
        return web.json_response({"id": len(notes) - 1})


@pytest.fixture
async def toybox() -> AsyncIterator[Toybox]:
    box = Toybox()
    async with served(box.app()) as box.url:
        yield box


@pytest.fixture
async def yard(origin: Origin) -> AsyncIterator[Yard]:
    """The server of the toy backend, which lifts `web/` of the origin."""
    async with Yard().open() as yard:
        yard.bring("web", origin.clone_url, "main", "web/**")
        yield yard


def backend_at(yard: Yard) -> dict[str, str]:
    return {"BRIDGE_CRANE_YARD": yard.url, "BRIDGE_CRANE_BADGE": yard.badge}


def environment(data: Path, **others: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "BRIDGE_DATA": str(data)} | others


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.fakes.toys", *words]


@contextmanager
def serving(folder: Path, **others: str) -> Iterator[Path]:
    """A bridge with the toys, in a process of its own; gives its log."""
    log = folder / "bridge.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command("serve"),
            cwd=folder,
            env=environment(folder / "data", **others),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


async def ready(http: httpx.AsyncClient, log: Path) -> None:
    async def probe() -> bool:
        try:
            return (await http.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    try:
        await until(probe, bool)
    except AssertionError:
        raise AssertionError(log.read_text()) from None


def moved(origin: Origin, before: str, after: str, file: str = "web/index.html") -> bytes:
    told = {
        "toybox": {
            "shelf": 7,
            "label": "toys/site",
            "clone": origin.clone_url,
            "page": "https://toys.example.com/toys/site",
        },
        "branch": "main",
        "from": before,
        "to": after,
        "says": "feat: we are open",
        "by": "ada",
        "touched": [file],
    }
    return json.dumps(told).encode()


def headers(body: bytes, seal: str = SEAL, *, parcel: int = 1) -> dict[str, str]:
    return {
        "X-Toybox-Event": "moved",
        "X-Toybox-Parcel": f"parcel-{parcel}",
        "X-Toybox-Seal": seal_of(seal, body),
        "Content-Type": "application/json",
    }


def ran(folder: Path, *words: str, **others: str) -> subprocess.CompletedProcess[str]:
    """A command, beside the running bridge."""
    return subprocess.run(
        command(*words), cwd=folder, env=environment(folder / "data", **others),
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def said_by(folder: Path, *words: str) -> Any:
    """What a command answers."""
    done = ran(folder, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_push_of_a_toy_host_deploys_on_a_toy_backend_and_is_shown_there_and_in_a_toy_chat(
    tmp_path: Path, origin: Origin, toybox: Toybox, yard: Yard
) -> None:
    port = free_port()
    settings = backend_at(yard) | {
        "BRIDGE_WALKIE_PASSWORD": PASSWORD,
        "BRIDGE_WALKIE_ADDRESS": toybox.url,
        "BRIDGE_ACCESS": "[{who: [everyone], may: [view, deploy]}]",
        "PORT": str(port),
        "BRIDGE_TOYBOX_SEALS": SEAL,
        "BRIDGE_TOYBOX_ADDRESS": toybox.url,
        "BRIDGE_TOYBOX_WEB_URL": "https://toys.example.com",
        "BRIDGE_TOYBOX_TOKEN": TOKEN,
    }
    before = origin.head()
    after = origin.repository.commit("feat: we are open", {"web/index.html": "open"})
    body = moved(origin, before, after)
    with serving(tmp_path, **settings) as log:
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
            await ready(http, log)
            forged = await http.post("/hooks/toybox", content=body, headers=headers(body, "no"))
            answer = await http.post("/hooks/toybox", content=body, headers=headers(body))
            astray = await http.post("/hooks/github", content=body, headers=headers(body))

            assert forged.status_code == 401
            assert (answer.status_code, answer.json()["delivery"]) == (202, "parcel-1")
            assert astray.status_code == 404
            assert "Toybox's webhooks go to /hooks/toybox" in astray.text

            await shown(toybox, after, log)
            await spoken(toybox, 1, log)
            aside = origin.repository.commit("docs: opening hours", {"docs/hours.md": "9 to 5"})
            body = moved(origin, after, aside, "docs/hours.md")
            await http.post("/hooks/toybox", content=body, headers=headers(body, parcel=2))
            await passed_over(toybox, aside, after, log)
            await redeployed_by_chat(http)
            await spoken(toybox, 2, log)
            measured = (await http.get("/metrics")).text

    assert toybox.tokens == {TOKEN}
    assert [(one.commit, one.again, one.state) for one in yard.lifts] == [
        (after, False, "done"), (after, True, "done"),
    ]  # fmt: skip
    assert {one["commit"] for one in toybox.lamps} == {after}
    assert 'backend="crane"' in measured
    counted = 'bridge_webhooks_received_total{event="moved",outcome="accepted",provider="toybox"} 2'
    assert counted in re.sub(r"\{(.*)\}", _sorted, measured)
    assert [
        (one["host"], one["event"], one["state"])
        for one in said_by(tmp_path, "deliveries", "--json")
    ] == [
        ("walkie", "redeploy", "decided"), ("toybox", "moved", "decided"),
        ("toybox", "moved", "decided"),
    ]  # fmt: skip
    by_push, by_chat = toybox.cards.values()
    assert by_push[-1] == {
        "frequency": "101.1", "app": "shop/web", "state": "done", "by": "push",
    }  # fmt: skip
    assert (by_chat[-1]["state"], by_chat[-1]["by"]) == ("done", "walkie: ada")
    (refused,) = [
        one for one in said_by(tmp_path, "deliveries", "--refused", "--json")
        if one["reason"] == "unauthorized"
    ]  # fmt: skip
    assert refused["host"] == "toybox"


def _sorted(found: re.Match[str]) -> str:
    return "{" + ",".join(sorted(found[1].split(","))) + "}"


async def shown(toybox: Toybox, commit: str, log: Path) -> None:
    """Wait until the toy host shows the end of the deployment, as a comment and a status."""

    async def probe() -> tuple[list[str], list[str]]:
        notes = list(toybox.notes["3"])
        return notes, [one["state"] for one in toybox.lamps if one["commit"] == commit]

    try:
        notes, _ = await until(
            probe,
            lambda seen: "success" in seen[1][-1:] and any("deployed" in one for one in seen[0]),
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{log.read_text()}") from None
    assert len(notes) == 1
    assert "✅ **Live in production** since " in notes[0]
    assert f"`shop/web` · {commit[:7]} on `main`\n" in notes[0]
    assert rows_of(notes[0]) == [["`shop/web`", "✅ deployed", commit[:7]]]
    assert {one["context"] for one in toybox.lamps} == {toybox.lamps[-1]["context"]}


def rows_of(note: str) -> list[list[str]]:
    """The app, its state and its commit in each row of a comment's table."""
    rows = [line.strip("| ").split(" | ") for line in note.splitlines() if line[:3] == "| `"]
    return [[*row[:2], row[3]] for row in rows]


async def passed_over(toybox: Toybox, commit: str, live: str, log: Path) -> None:
    """Wait until the host's comment says that a push concerns no app, and what stays live."""

    async def probe() -> str:
        return toybox.notes["3"][0]

    try:
        note = await until(probe, lambda seen: f"{commit[:7]} on `main`" in seen)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{log.read_text()}") from None
    assert f"1 not deployed · {commit[:7]} on `main`\n" in note
    why = "- `shop/web`: no watched path changed (`1 file changed, none matches web/**`)"
    assert why in note.splitlines()
    assert rows_of(note) == [["`shop/web`", "✅ deployed", live[:7]]]


async def spoken(toybox: Toybox, count: int, log: Path) -> None:
    """Wait until the chat has said how so many deployments ended."""

    async def probe() -> list[str]:
        return [said[-1]["state"] for said in toybox.cards.values()]

    try:
        await until(probe, lambda states: states == ["done"] * count)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{log.read_text()}") from None


async def redeployed_by_chat(http: httpx.AsyncClient) -> None:
    """Ask for it in the toy chat, once with a wrong password."""
    said = {"by": "ada", "says": "redeploy shop/web", "number": 7}
    forged = await http.post("/walkie/events", json=said, headers={"Walkie-Password": "roger"})
    heard = await http.post("/walkie/events", json=said, headers={"Walkie-Password": PASSWORD})

    assert forged.status_code == 401
    assert (heard.status_code, heard.text) == (200, "View")


def test_a_payload_of_a_toy_host_is_explained(tmp_path: Path, origin: Origin) -> None:
    body = tmp_path / "payload.json"
    body.write_bytes(moved(origin, "1" * 40, "2" * 40))

    told = said_by(tmp_path, "explain", str(body), "--json", "--watch-path", "web/**")

    assert (told["host"], told["event"]) == ("toybox", "moved")
    assert [(one["deploy"], one["reason"]) for one in told["decisions"]] == [(True, "path_hit")]


# ── Setup in the browser, which knows none of them ──────────────────────────────────────────────


async def test_setup_shows_what_is_set_and_can_not_be_set_up_there(
    tmp_path: Path, toybox: Toybox, yard: Yard
) -> None:
    port = free_port()
    settings = backend_at(yard) | {
        "BRIDGE_WALKIE_PASSWORD": PASSWORD,
        "BRIDGE_WALKIE_ADDRESS": toybox.url,
        "PORT": str(port),
        "BRIDGE_TOYBOX_SEALS": SEAL,
        "BRIDGE_TOYBOX_ADDRESS": toybox.url,
    }
    base = f"http://127.0.0.1:{port}"
    with serving(tmp_path, **settings) as log:
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as http:
            await ready(http, log)
            link = (await asyncio.to_thread(ran, tmp_path, "setup", "--url", base)).stdout
            page = await http.get(link.split()[-1], follow_redirects=True)
            checked = await http.post("/setup/check")
            odd = await http.post("/setup/connect/crane", data={"yard": "x"})

    assert (page.status_code, checked.status_code) == (200, 200)
    for title in ("Crane", "Toybox", "Walkie"):
        assert f"<b>{title}</b>" in page.text
    assert "Everything is connected" in page.text
    assert 'id="dokploy"' in page.text
    assert f"<b>crane</b>: {yard.url} answers and accepts the key" in checked.text
    assert (odd.status_code, "no such service" in odd.text) == (422, True)


# ── The command line reaches a toy backend ──────────────────────────────────────────────────────


async def beside(folder: Path, yard: Yard, *words: str) -> subprocess.CompletedProcess[str]:
    """A command, while the yard in this process answers."""
    return await asyncio.to_thread(ran, folder, *words, **backend_at(yard))


async def test_settings_lead_to_it_and_doctor_examines_it(tmp_path: Path, yard: Yard) -> None:
    takes = await beside(tmp_path, yard, "config", "check", "--online", "--json")
    yard.refuses = True
    refuses = await beside(tmp_path, yard, "doctor", "--json")

    told = json.loads(takes.stdout)
    assert (told["ok"], told["backend"]) == (True, yard.url)
    assert [(one["backend"], one["state"]) for one in told["online"]] == [("crane", "ok")]
    findings = json.loads(refuses.stdout)["findings"]
    (found,) = (one for one in findings if one["check"] == "backend.key")
    assert (found["level"], found["about"]) == ("error", "crane")


async def test_what_its_settings_lack_and_what_can_not_be_done_from_here_is_named(
    tmp_path: Path, yard: Yard
) -> None:
    alone = await asyncio.to_thread(ran, tmp_path, "config", "check", BRIDGE_CRANE_YARD=yard.url)
    done = await beside(tmp_path, yard, "provider", "show", "shop/web")

    assert alone.returncode == 2
    assert "the yard of the Crane 'crane' is set, but BRIDGE_CRANE_BADGE is not" in alone.stderr
    assert "make one in Crane: the porter's lodge" in alone.stderr
    assert done.returncode == 2
    assert done.stderr == "error: apps of crane can't be configured from here; do it there\n"
