"""`config set` and `config unset`: settings that are stored in the data."""

import json
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from bridge.cli.every import app
from tests.worlds.cli import Cli

SECRET = "0123456789abcdef0123456789abcdef"


def piped(text: str, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words), input=text)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def test_variables_and_the_file_win(cli: Cli) -> None:
    cli("config", "set", "public_url=https://stored.example.com")
    (cli.folder / "bridge.yaml").write_text("public_url: https://file.example.com\n")
    assert cli.json("config", "show")["public_url"] == {
        "value": "https://file.example.com",
        "from": "bridge.yaml",
    }
    variable = {"BRIDGE_PUBLIC_URL": "https://variable.example.com"}
    assert cli.json("config", "show", **variable)["public_url"]["from"] == "BRIDGE_PUBLIC_URL"

    refused = cli("config", "set", "public_url=https://other.example.com", code=2)
    assert "public_url comes from bridge.yaml, which wins: change it there" in refused.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("github.token=ghp_1", "github.token is a secret"),
        ("data=/elsewhere", "data can't be stored: it is needed before the data can be read"),
        ("host=0.0.0.0", "set BRIDGE_HOST, or host in bridge.yaml"),
        ("dokploy.ulr=x", "dokploy.ulr is no setting; did you mean dokploy.url?"),
        ("nothing=x", "nothing is no setting"),
        ("nothing.at.all=x", "nothing is no setting"),
        ("port.x=1", "port.x is no setting"),
        ("github.tokn", "github.tokn is no setting; did you mean github.token?"),
        ("public_url.x=1", "public_url"),
        ("public_url=not an address", "public_url (made by setup): "),
        ("=x", "is no setting"),
        (".=x", "is no setting"),
        ("journey.look=never", "journey.look (made by setup): "),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_stored(
    cli: Cli, given: str, words: str
) -> None:
    refused = cli("config", "set", "slack.channel=#deploys", given, code=2)
    assert words in refused.stderr
    assert cli.json("config", "show")["slack"]["channel"]["from"] == "default"


def test_nothing_that_is_stored_can_be_read_in_the_files_and_a_lost_key_is_said(cli: Cli) -> None:
    piped(SECRET, "config", "set", "github.webhook_secrets")

    for file in cli.data.iterdir():
        if file.name != "secret.key":
            assert SECRET.encode() not in file.read_bytes()
    shown = cli("config", "show").stdout
    assert SECRET not in shown
    assert 'webhook_secrets: ["********"]  # made by setup' in shown

    (cli.data / "secret.key").unlink()
    refused = cli("apps", code=2)
    assert "its key is gone; add the previous key to BRIDGE_SECRET_KEY" in refused.stderr
    assert "dokploy-bridge config unset github.webhook_secrets" in refused.stderr
    unset = ("config", "unset", "github.webhook_secrets")
    cli(*unset)
    assert "no setting github.webhook_secrets is stored" in cli(*unset, code=4).stderr
    assert cli.json("config", "show")["github"]["webhook_secrets"]["value"] == []
    assert [(one["action"], one["app"]) for one in cli.json("audit")] == [
        ("config unset", "github.webhook_secrets"),
        ("config set", "github.webhook_secrets"),
    ]


def test_data_of_an_earlier_release_has_no_stored_settings(filled: Cli) -> None:
    with closing(sqlite3.connect(filled.data / "journal.sqlite")) as db:
        db.execute("DROP TABLE stored_settings")
    assert filled.json("config", "show")["public_url"]["from"] == "default"


def test_broken_data_is_said_and_the_other_settings_are_shown(cli: Cli) -> None:
    cli.data.mkdir(mode=0o700)
    (cli.data / "journal.sqlite").write_bytes(b"no database at all" * 100)

    result = cli("config", "show", "--json")
    assert json.loads(result.stdout)["public_url"]["from"] == "default"
    assert "the data in .bridge can't be used" in result.stderr
