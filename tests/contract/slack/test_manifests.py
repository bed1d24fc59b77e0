"""The manifests are what Slack's own schema allows, and ask for no more than is used."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from tests.scenes.slack import GOLDEN

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = jsonschema_rs.validator_for(
    json.loads((GOLDEN.parent / "manifest.schema.v2.json").read_text())
)
NAMES = ("slack-app.yaml", "slack-app-socket.yaml")


def manifest(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "manifests" / name).read_text())
    return loaded


def faults(found: dict[str, Any]) -> list[str]:
    return [
        f"{'/'.join(map(str, one.instance_path))}: {one.message}"
        for one in SCHEMA.iter_errors(found)
    ]


def test_a_manifest_is_what_the_schema_allows() -> None:
    assert [faults(manifest(name)) for name in NAMES] == [[], []]
    broken: dict[str, Any]
    for part, broken in (
        ("display_information", {"name": "a" * 36}),
        ("display_information", {}),
        ("settings", {"socket_mode_enabled": "yes"}),
    ):
        assert faults(manifest(NAMES[0]) | {part: broken})


def test_the_two_differ_only_in_how_slack_reaches_the_bridge() -> None:
    http, socket = (manifest(name) for name in NAMES)

    assert http["oauth_config"] == socket["oauth_config"]
    assert commands(http) == commands(socket)
    assert socket["settings"]["socket_mode_enabled"] is True
    assert "://" not in json.dumps(socket)
    assert http["settings"]["socket_mode_enabled"] is False


def commands(found: dict[str, Any]) -> list[str]:
    return [one["command"] for one in found["features"]["slash_commands"]]
