"""What `doctor` says and how quickly; one service alone; Postgres; and what it never shows."""

import json
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
from tests.worlds.bridge import running_world
from tests.worlds.setup import command, sound_set_up, with_bridge

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


async def test_settings_that_can_not_be_read_are_a_finding(tmp_path: Path) -> None:
    code, said = await command("doctor", BRIDGE_PORT="many", BRIDGE_DATA=str(tmp_path / "data"))

    assert code == 1
    assert said.startswith("error    the settings: ")
    assert "BRIDGE_PORT" in said


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
