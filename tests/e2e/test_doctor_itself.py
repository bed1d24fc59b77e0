"""`doctor` finds each fault of the bridge itself; one service alone; and what is never shown."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pydantic import SecretStr

from bridge.app.doctor import itself
from bridge.app.doctor.services import examine
from bridge.backends import BACKENDS
from bridge.chats import CHATS
from bridge.githosts import HOSTS
from bridge.ports.checks import Checked, Finding, Level
from bridge.settings import read_settings
from tests.worlds import frontage
from tests.worlds.bridge import running_world
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


# ── one service, with settings that are not stored ──────────────────────────────────────────────


def wrong(findings: list[Finding]) -> set[str]:
    return {one.check for one in findings if one.level is not Level.OK}


async def test_one_service_is_examined_with_settings_that_are_not_stored(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made:
        settings = read_settings(None, made.settings(SSL_CERT_FILE=""))
        at_dokploy = settings.backends_set()["dokploy"].given
        at_github = settings.host_servers()["github"].given
        at_slack = settings.chats_set()["slack"]
        refused = at_dokploy.model_copy(update={"api_key": SecretStr("another-0123456789")})

        dokploy = await examine(BACKENDS["dokploy"], Checked("dokploy", at_dokploy))
        with_another_key = await examine(BACKENDS["dokploy"], Checked("dokploy", refused))
        github = await examine(HOSTS["github"], Checked("github", at_github))
        slack = await examine(CHATS["slack"], Checked("slack", at_slack))
        made.slack.delay = 60.0
        silent = await examine(CHATS["slack"], Checked("slack", at_slack), within=0.5)
        made.dokploy.hangs = {"user.get"}
        slow = await examine(BACKENDS["dokploy"], Checked("dokploy", at_dokploy), within=3.0)

    assert wrong(dokploy) == wrong(github) == wrong(slack) == set()
    assert {"backend.key", "backend.apps", "backend.role"} <= {one.check for one in dokploy}
    assert wrong(with_another_key) == {"backend.key"}
    assert wrong(slow) == {"backend.time"}
    assert [one.check for one in silent] == ["chat.reach"]


# ── many repositories, secrets, Postgres ────────────────────────────────────────────────────────


async def test_no_secret_is_ever_shown(tmp_path: Path) -> None:
    webhook = "https://discord.com/api/webhooks/600000000000000001/"
    secrets = {
        "BRIDGE_GITHUB_TOKEN": "ghp_" + "s3cret" * 4,
        "BRIDGE_GITLAB_TOKEN": "glpat-" + "s3cret" * 4,
        "BRIDGE_GITEA_TOKEN": "s3cret" * 6,
        "BRIDGE_DOKPLOY_API_KEY": "s3cret" * 6,
        "BRIDGE_SLACK_BOT_TOKEN": "xoxb-s3cret",
        "BRIDGE_SLACK_APP_TOKEN": "xapp-s3cret",
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": "s3cret",
        "BRIDGE_DISCORD_WEBHOOK": webhook + "s3cret" * 5,
    }
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        given = made.settings(**secrets)
        code, said = await command("doctor", **given)
        as_json, form = await command("doctor", "--json", **given)

    assert code == as_json == 1
    assert "s3cret" not in said + form
    assert sum(line.startswith("error ") for line in said.splitlines()) >= 6


async def test_a_check_of_the_settings_asks_services_the_same_in_the_same_words(
    tmp_path: Path,
) -> None:
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        well, _ = await command("config", "check", "--online", **made.settings())
        made.repositories["github"].hooks[0].url = f"{made.front.url}/webhook"
        made.repositories["gitea"].hooks[0].events = ("push",)
        made.slack.channels["C0SHOP"].archived = True
        told = (await made.doctor()).findings
        code, said = await command("config", "check", "--online", "--json", **made.settings())
        form = json.loads(said)
        made.repositories["github"].hooks[0].url = f"{made.front.url}/hooks/github"
        made.slack.channels["C0SHOP"].archived = False
        with_a_warning, _ = await command("config", "check", "--online", **made.settings())

    kinds = ("backend.", "host.", "chat.")
    assert form["findings"] == [one for one in told if one["check"].startswith(kinds)]
    assert [(one["backend"], one["state"]) for one in form["online"]] == [("dokploy", "ok")]
    assert states(form["online_hosts"], "host") == dict.fromkeys(made.repositories, "ok")
    assert states(form["channels"], "channel") == {"C0SHOP": "refused", "default": "ok"}
    assert states(form["webhooks"], "repository") == {
        "my-org/mono": "trouble", "my-group/api": "ok", "ada/site": "ok"
    }  # fmt: skip
    assert (well, code, with_a_warning) == (0, 1, 0)


def states(those: list[dict[str, str]], name: str) -> dict[str, str]:
    return {one[name]: one["state"] for one in those}


async def test_postgres_is_checked(tmp_path: Path, postgres: str) -> None:
    async with sound_set_up(tmp_path) as made:
        given: dict[str, Any] = {"DATABASE_URL": postgres, "BRIDGE_SECRET_KEY": "k" * 32}
        async with running_world(made.data, **given | made.dokploy.settings) as world:
            made.front.target, made.journal = world.bridge.url, world.bridge.stores.journal
            sound = await made.doctor(**given)
            no_key = await made.doctor(DATABASE_URL=postgres)
            with patch.object(itself, "OLDEST_POSTGRES", 99):
                old = await made.doctor(**given)
            with patch.object(itself, "FEWEST_CONNECTIONS", 10_000):
                full = await made.doctor(**given)
        made.journal = None
        away = await made.doctor(**given | {"DATABASE_URL": "postgres://u@127.0.0.1:1/x"})

    assert sound.wrong == set()
    assert no_key.wrong == {"bridge.secret_key"}
    assert old.wrong == {"bridge.postgres.version"}
    assert full.wrong == {"bridge.postgres.connections"}
    assert away.wrong == {"bridge.postgres"}
