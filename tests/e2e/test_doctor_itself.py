"""`doctor` finds each fault of the bridge itself, and of its address, by its name."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bridge.app.doctor import itself
from tests.worlds import frontage
from tests.worlds.plants import Plant, finds, found_of, with_
from tests.worlds.setup import SetUp, command, sound_set_up, with_bridge


def before(mode: str) -> Callable[[SetUp], Any]:
    return with_(lambda made: made.front, mode=mode)


def space(free: int) -> Callable[[SetUp], Any]:
    usage = shutil.disk_usage("/")._replace(free=free)
    return lambda _made: patch.object(shutil, "disk_usage", lambda _path: usage)


def on_network(made: SetUp) -> AbstractContextManager[Any]:
    mounts = made.data.parent / "mountinfo"
    line = "29 1 8:1 / {} rw,relatime - {} x rw\n"
    mounts.write_text(line.format("/", "ext4") + line.format(made.data, "nfs4"))
    return patch.object(itself, "MOUNTS", mounts)


@contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Let everybody write to a folder."""
    folder.chmod(0o777)
    yield
    folder.chmod(0o700)


ITS_OWN = {
    "no address is set": Plant("bridge.url.unset", settings={"BRIDGE_PUBLIC_URL": ""}),
    "its address is silent": Plant("bridge.url.reach", before(frontage.IS_SILENT)),
    "its address redirects": Plant("bridge.url.redirect", before(frontage.REDIRECTS)),
    "something says yes to everything": Plant("bridge.url.answer", before(frontage.SAYS_YES)),
    "another bridge answers": Plant("bridge.url.other", before(frontage.IS_ANOTHER_BRIDGE)),
    "a proxy with a wrong target": Plant(
        "bridge.url.gateway", lambda made: patch.object(made.front, "target", "http://127.0.0.1:1")
    ),
    "a proxy that takes only small bodies": Plant("bridge.url.body", before(frontage.IS_SMALL)),
    "a certificate that nobody trusts": Plant("bridge.url.tls", settings={"SSL_CERT_FILE": ""}),
    "authorities that are not there": Plant(
        "bridge.connecting", settings={"REQUESTS_CA_BUNDLE": "/not/there.pem"}
    ),
    "a secret that can be guessed": Plant(
        "settings", settings={"BRIDGE_GITHUB_WEBHOOK_SECRETS": "short"}
    ),
    "a secret that is none of the chat's": Plant(
        "settings", settings={"BRIDGE_SLACK_SIGNING_SECRET": "a-secret"}
    ),
    "a chat in which nobody may do anything": Plant("settings", settings={"BRIDGE_ACCESS": ""}),
    "a rule whose watch paths match nothing": Plant(
        "settings", settings={"BRIDGE_RULES": "[{apps: shop/web, watch_paths: [/web/**]}]"}
    ),
    "little room on the disk": Plant("bridge.disk", space(500 * 2**20)),
    "no room on the disk": Plant("bridge.disk", space(5 * 2**20)),
    "a network's disk": Plant("bridge.filesystem", on_network),
    "data that others may change": Plant(
        "settings", lambda made: opened(made.data)
    ),
}  # fmt: skip


async def test_each_fault_of_its_own_is_found_and_no_other(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        found = await found_of(made, ITS_OWN)

    assert found == finds(ITS_OWN)


async def test_a_certificate_that_ends_soon_is_found(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path, days=5.5) as made, with_bridge(made):
        told = await made.doctor()

    assert told.wrong == {"bridge.url.certificate"}
    assert told.of("bridge.url.certificate")["says"] == "its certificate expires in 5 days"


async def test_without_a_running_bridge_only_that_is_found(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made:
        without_data = await made.doctor()
        assert not made.data.exists()
        async with with_bridge(made):
            pass
        stopped = await made.doctor()

    assert without_data.wrong == stopped.wrong == {"bridge.running"}


async def test_another_shell_is_told_which_of_the_bridges_settings_it_lacks(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        _, bare = await command("doctor", "--json", BRIDGE_DATA=str(made.data))
        other = {"BRIDGE_GITHUB_WEBHOOK_SECRETS": "another-secret-0123456789", "BRIDGE_ACCESS": ""}
        given = made.settings(**other, BRIDGE_WEB_MAX_BODY="2048")
        _, changed = await command("doctor", "--json", **given)

    lacks = {one["check"]: one for one in json.loads(bare)["findings"] if one["level"] != "ok"}
    assert list(lacks) == ["bridge.settings"]
    assert "gitea.webhook_secrets, github.api_url," in lacks["bridge.settings"]["says"]
    differs = next(
        one for one in json.loads(changed)["findings"] if one["check"] == "bridge.settings"
    )
    assert differs["says"] == (
        "it runs with other settings than this command: access (not set here);"
        " web.max_body (set only here); github.webhook_secrets (set to other values), so nothing"
        " else was checked"
    )


async def test_an_address_without_tls_is_found(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        no_tokens = {f"BRIDGE_{one}_TOKEN": "" for one in ("GITHUB", "GITLAB", "GITEA")}
        told = await made.doctor(BRIDGE_PUBLIC_URL="http://bridge.invalid", **no_tokens)

    assert told.wrong == {"bridge.url.http", "bridge.url.reach"}
