"""`manifest github`: a manifest to use, and a link to open."""

import json

import pytest

from bridge.cli import show
from tests.worlds.cli import Cli


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


def test_the_link_stays_whole_on_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "on_terminal", lambda: True)
    words = ("manifest", "github", "--url", "https://bridge.example.com")

    (link,) = cli(*words, "--link").stdout.splitlines()

    assert len(link) > 200
    assert link in cli(*words).stderr.splitlines()


@pytest.mark.parametrize("url", ["bridge.example.com", "https://", "https://a@b"])
def test_what_is_no_address_is_refused(cli: Cli, url: str) -> None:
    assert "must look like" in cli("manifest", "github", "--url", url, code=2).stderr
    assert "must look like" in cli("setup", "--url", url, code=2).stderr


def test_the_bridges_address_has_no_path(cli: Cli) -> None:
    for words in (("setup",), ("manifest", "github"), ("manifest", "slack")):
        told = cli(*words, "--url", "https://b.example.com/bridge", code=2)
        assert "https://b.example.com" in told.stderr
