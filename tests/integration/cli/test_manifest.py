"""Manifests to use: of the GitHub App, and of the Slack app, valid and with the least scopes."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from bridge.chats.slack.manifest import MORE_SCOPES, slack_manifest
from tests.worlds.cli import Cli

ROOT = Path(__file__).parents[3]
SCHEMA = ROOT / "tests/fixtures/slack/manifest.schema.v2.json"
EXAMPLE = "https://bridge.example.com"


def test_the_manifest_leads_to_the_bridge(cli: Cli) -> None:
    shown = cli("manifest", "github", "--url", "https://bridge.example.com/")

    manifest = json.loads(shown.stdout)
    assert manifest["hook_attributes"]["url"] == "https://bridge.example.com/hooks/github"
    assert "https://github.com/settings/apps/new?" in shown.stderr


def test_the_link_can_be_had_alone(cli: Cli) -> None:
    words = ("manifest", "github", "--url", "https://b.example.com", "--org", "my-org", "--link")

    assert cli(*words).stdout.startswith(
        "https://github.com/organizations/my-org/settings/apps/new?name=dokploy-bridge&"
    )


def test_the_bridges_address_has_no_path(cli: Cli) -> None:
    for words in (("setup",), ("manifest", "github"), ("manifest", "slack")):
        told = cli(*words, "--url", "https://b.example.com/bridge", code=2)
        assert "https://b.example.com" in told.stderr


# ── Slack ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", [EXAMPLE, None])
@pytest.mark.parametrize("more", [(), tuple(MORE_SCOPES)])
def test_it_is_valid_by_slacks_schema(url: str | None, more: tuple[str, ...]) -> None:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))

    assert list(validator.iter_errors(slack_manifest(url, more))) == []


@pytest.mark.parametrize(
    ("file", "url"), [("slack-app.yaml", EXAMPLE), ("slack-app-socket.yaml", None)]
)
def test_the_files_are_what_the_command_prints(file: str, url: str | None) -> None:
    text = (ROOT / "manifests" / file).read_text()

    assert yaml.safe_load(text) == slack_manifest(url)


def test_it_asks_for_no_more_than_it_needs() -> None:
    made: Any = slack_manifest(EXAMPLE)

    assert made["oauth_config"]["scopes"]["bot"] == ["chat:write", "commands", "users:read"]
    assert made["settings"]["event_subscriptions"]["bot_events"] == ["app_home_opened"]


@pytest.mark.parametrize(("name", "length"), [("x" * 36, 36), ("", 0), ("   ", 0)])
def test_a_name_that_slack_would_not_take_is_refused(cli: Cli, name: str, length: int) -> None:
    told = cli("manifest", "slack", "--socket", "--name", name, code=2)

    assert told.stderr == (
        f"error: --name: Slack takes names of 1 to 35 characters, this one has {length}\n"
    )
    assert told.stdout == ""


def test_the_command_prints_one_to_paste(cli: Cli) -> None:
    shown = cli("manifest", "slack", "--url", EXAMPLE, "--with", "emails", "--name", "Deploys")
    made = yaml.safe_load(shown.stdout)

    assert made["display_information"]["name"] == "Deploys"
    assert "users:read.email" in made["oauth_config"]["scopes"]["bot"]
    assert cli.json("manifest", "slack", "--socket")["settings"]["socket_mode_enabled"] is True


@pytest.mark.parametrize(
    "words",
    [
        (), ("--url", EXAMPLE, "--socket"), ("--url", "bridge"),
        ("--socket", "--with", "everything"),
    ],
)  # fmt: skip
def test_it_says_what_is_wrong(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("manifest", "slack", *words, code=2).stderr
