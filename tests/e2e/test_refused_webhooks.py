"""A webhook that was refused is found by who misses the deployment; a real process, real HTTP."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.worlds.embedded import Repository
from tests.worlds.shell import Shell, deliver, event, serving

GITHUB = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d-1", "Content-Type": "application/json"}
OF_HOOK = {
    "X-GitHub-Hook-Installation-Target-Type": "repository",
    "X-GitHub-Hook-Installation-Target-ID": "1",
}
FORGED = {"X-Hub-Signature-256": "sha256=" + "0" * 64}


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with serving(Shell(tmp_path)) as running:
        yield running


async def post(shell: Shell, path: str, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.post(f"{shell.url}{path}", content=b'{"secret": "x"}', headers=headers)


async def refused(shell: Shell, count: int) -> list[dict[str, Any]]:
    words = ("deliveries", "--refused", "--limit", "1000")
    found: list[dict[str, Any]] = await shell.until(
        *words, fits=lambda those: sum(one["count"] for one in those) >= count
    )
    return found


@pytest.mark.journey
async def test_a_wrong_secret_and_a_wrong_path_are_listed_without_what_they_brought(
    shell: Shell,
) -> None:
    forged = await post(shell, "/hooks/github", GITHUB | OF_HOOK | FORGED)
    astray = await post(shell, "/webhook", GITHUB)
    mixed_up = await post(shell, "/hooks/gitlab", GITHUB)

    assert (forged.status_code, astray.status_code) == (401, 404)
    assert astray.json()["error"] == (
        "there is nothing at /webhook; GitHub's webhooks go to /hooks/github"
    )
    assert mixed_up.status_code == 404
    assert mixed_up.json()["error"] == (
        "gitlab is not served here: no secret is set for it; GitHub's webhooks go to /hooks/github"
    )
    found = await refused(shell, 3)
    by_path = {one["path"]: one for one in found}
    assert by_path["/hooks/github"]["reason"] == "unauthorized"
    assert by_path["/hooks/github"]["repository_id"] == "1"
    assert by_path["/hooks/github"]["network"] == "127.0.0.0/24"
    assert "is the webhook's secret one of ours?" in by_path["/hooks/github"]["why"]
    assert by_path["/webhook"]["reason"] == "wrong_path"
    assert 'secret": "x' not in json.dumps(found)
    said = await shell.run("deliveries", "--refused")
    assert "wrong_path /webhook from 127.0.0.0/24 once: there is nothing at" in said


async def test_who_asks_why_a_push_did_not_come_hears_that_it_was_refused(
    shell: Shell, tmp_path: Path
) -> None:
    repository = Repository.make(tmp_path / "mono", {"index.html": "first"})
    await shell.run("app", "create", "web", "--repo", str(repository.path))
    before = repository.git("rev-parse", "HEAD")
    repository.commit("more", {"index.html": "second"})
    delivery = await deliver(shell, repository, before, "index.html")
    await shell.until("deliveries", fits=lambda found: found[0]["id"] == delivery)
    await shell.until("deployments", fits=lambda found: found and found[0]["finished_at"])

    await post(shell, "/hooks/github", GITHUB | OF_HOOK | FORGED)
    await refused(shell, 1)

    process = await shell.start("why", "web", "f" * 40)
    _, errors = await process.communicate()
    assert process.returncode == 4
    assert b"1 webhook was refused in the last 7 days" in errors
    assert b"deliveries --refused" in errors
    process = await shell.start("why", "web")
    _, errors = await process.communicate()
    assert b"1 webhook was refused since then" in errors
    (one,) = await shell.json("deliveries", "--refused")
    assert one["repository"] == "my-org/mono"  # the push before has told its name


@pytest.mark.journey
async def test_only_what_the_nearest_proxy_says_of_the_sender_counts(shell: Shell) -> None:
    """What stands before it, and every other header, anybody may have sent."""
    claims = [
        *[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "203.0.113.9, 198.51.100.7")],
        *[("CF-Connecting-IP", "203.0.113.9"), ("X-Real-IP", "203.0.113.9")],
        *[("Forwarded", "for=203.0.113.9"), ("True-Client-IP", "203.0.113.9")],
    ]
    async with httpx.AsyncClient(trust_env=False) as http:
        for path in ("/hooks/github", "/webhook"):
            headers = [*GITHUB.items(), *FORGED.items(), *claims]
            await http.post(f"{shell.url}{path}", content=b"{}", headers=headers)

    found = await refused(shell, 2)

    assert [one["network"] for one in found] == ["198.51.100.0/24"] * 2


MARKER = "s3cret-of-somebody"
ASTRAY = [
    f"/hooks/github/{MARKER}",
    f"/hooks/{MARKER}",
    f"/{MARKER}/hooks/github",
    f"/hooks/github%2F{MARKER}",
    f"/hooks/github;{MARKER}",
    f"/webhook?secret={MARKER}",
    f"/webhook%3Fsecret={MARKER}",
    f"/hooks/github?secret={MARKER}",
    f"/hooks/gitlab?token={MARKER}",
    f"/slack/{MARKER}",
    f"/{MARKER}",
    "/hooks" * 30 + f"/{MARKER}",
]


@pytest.mark.journey
async def test_a_secret_in_an_address_is_nowhere_told(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    process = await shell.start("serve")
    shell.url = (await event(process, "serving"))["url"]

    answers = [await post(shell, path, GITHUB | FORGED) for path in ASTRAY]
    answers += [await post(shell, path, {}) for path in ASTRAY]
    async with httpx.AsyncClient(trust_env=False) as http:
        answers += [await http.get(f"{shell.url}{path}") for path in ASTRAY]
        metrics = await http.get(f"{shell.url}/metrics")
    found = await refused(shell, len(ASTRAY))
    listed = await shell.run("deliveries", "--refused")
    process.terminate()
    _, log = await process.communicate()

    kept = b"".join(file.read_bytes() for file in shell.folder.rglob("*") if file.is_file())
    told = [one.text + str(one.headers) for one in answers]
    assert not [one for one in (*told, metrics.text, json.dumps(found), listed) if MARKER in one]
    assert MARKER.encode() not in kept
    assert MARKER.encode() not in log
    assert b"/hooks/github/" in log
    assert {"/hooks/github/…", "/hooks/…", "/webhook", "/…"} <= {one["path"] for one in found}
