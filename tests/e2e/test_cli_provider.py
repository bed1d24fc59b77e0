"""`provider`, `build`, `env`, `logs` and `clear`, against the embedded backend of a folder."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bridge.cli.embedded import Api, api_of
from bridge.cli.every import app
from bridge.core.configuration.configuration import GitSource
from bridge.settings import read_settings
from tests.worlds.cli import Cli
from tests.worlds.embedded import Repository

pytestmark = pytest.mark.journey

URL = "https://me:hunter2@example.com/a.git"


@pytest.fixture
def web(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """With one app of the embedded backend, which no process serves."""
    monkeypatch.setenv("BRIDGE_EMBEDDED_PORT", "0")
    repository = Repository.make(tmp_path / "origin", {"web/index.html": "first", "a": ""})
    cli("app", "create", "web", "--repo", str(repository.path), "--publish", "web", "--watch", "a")
    return cli


def piped(*words: str, stdin: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words), input=stdin)
    assert result.exit_code == code, (result.output, result.stderr, result.exception)
    assert "hunter2" not in result.output + result.stderr
    return result


def audits(cli: Cli) -> Any:
    found = cli.with_stores(lambda stores: stores.journal.audited(limit=99))
    return [one for one in found if one.what != "app create"]


def test_another_branch_keeps_all_else_and_shows_the_difference(web: Cli) -> None:
    told = web("provider", "set", "git", "web", "--branch", "dev", "--yes").stdout

    assert told == "provider set of default/web:\nbranch: main → dev\nchanged default/web\n"
    again = web("provider", "set", "git", "web", "--branch", "dev").stdout
    assert again == "default/web is configured like that already\n"
    now = web.json("provider", "show", "web")
    assert (now["source"], now["branch"], now["watch_paths"]) == ("git", "dev", ["a"])
    (note,) = audits(web)
    assert (note.what, note.app, note.outcome) == ("provider set", "default/web", "done")
    assert note.by.door == "cli"


def test_a_person_is_asked_and_may_say_no(web: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.cli.configure.sys", _Terminal())
    words = ("provider", "set", "git", "web", "--branch", "dev")

    assert "nothing was changed" in piped(*words, stdin="n\n", code=1).stderr
    assert web.json("provider", "show", "web")["branch"] == "main"
    assert "changed default/web" in piped(*words, stdin="y\n").stdout


class _Terminal:
    """A standard input that is a terminal."""

    class stdin:  # noqa: N801 - stands in for a module's attribute
        isatty = staticmethod(lambda: True)


def test_an_empty_value_and_forget_take_away(web: Cli) -> None:
    web("provider", "set", "git", "web", "--tags", "v*", "--only-newer", "--yes")
    assert web.json("provider", "show", "web")["rules"]["set"] == {"tags": "v*", "only_newer": True}

    web("provider", "set", "git", "web", "--watch", "", "--forget", "only-newer", "--yes")

    now = web.json("provider", "show", "web")
    assert (now["watch_paths"], now["rules"]["set"]) == (None, {"tags": "v*"})
    refused = web("provider", "set", "git", "web", "--tags", "w*", "--forget", "tags", code=2)
    assert "can't be set and forgotten at once" in refused.stderr
    nothing = web("provider", "set", "git", "web", "--forget", "", code=2)
    assert "is no field of a git source" in nothing.stderr


def test_how_it_is_verified_is_set_undone_and_shown(web: Cli) -> None:
    change = ("provider", "set", "git", "web", "--yes", "--verify")

    web(*change, "/healthz within=2m")
    shown = web.json("provider", "show", "web")["rules"]["set"]
    refused = web(*change, "healthz", code=2)
    undone = web("provider", "undo", "web", "--yes")

    assert shown == {"verify": "/healthz within=120s"}
    assert "verify can't be 'healthz': 'healthz' is no address" in refused.stderr
    assert "rules.verify: /healthz within=120s → (nothing)" in undone.stdout


def test_the_difference_as_json_holds_findings_and_what_the_file_overrules(web: Cli) -> None:
    Path("bridge.yaml").write_text("rules: [{apps: 'default/*', tags: release-*}]")

    told = json.loads(
        web(
            *("provider", "set", "git", "web", "--watch", "/web/**", "--tags", "v*"),
            *("--yes", "--json"),
        ).stdout
    )

    assert [one["field"] for one in told["difference"]] == ["watch_paths", "rules.tags"]
    assert told["difference"][0] == {
        "field": "watch_paths",
        "before": ["a"],
        "after": ["/web/**"],
    }
    assert [one["code"] for one in told["findings"]] == ["leading_slash"]
    assert told["remarks"] == ["bridge.yaml says tags: release-* for default/web, and wins"]
    shown = web("provider", "show", "web").stdout
    assert "tags (the bridge's rule): v*" in shown
    assert "tags (bridge.yaml): release-*" in shown


def test_accounts_are_listed_with_the_ids_that_a_source_needs(web: Cli) -> None:
    assert web.json("provider", "accounts") == []
    assert "no Git account" in web("provider", "accounts").stderr

    async def connect(api: Api) -> None:
        await api.ask(
            "POST", "gitlab.create", name="ours", authId="x", gitlabUrl="https://gitlab.com"
        )

    at_backend(connect)

    (account,) = web.json("provider", "accounts")
    assert (account["backend"], account["type"], account["name"]) == ("embedded", "gitlab", "ours")
    listed = web("provider", "accounts").stdout
    assert listed == f"{account['id']} gitlab ours (embedded)\n"

    web(
        *("provider", "set", "gitlab", "web", "--owner", "g", "--repository", "a", "--path", "g/a"),
        *("--branch", "main", "--project-id", "7", "--account", account["id"]),
        *("--trigger", "tag", "--yes"),
    )
    now = web.json("provider", "show", "web")
    assert (now["provider_id"], now["project_id"]) == (account["id"], 7)
    assert now["rules"]["set"] == {"trigger": "tag"}


def at_backend(work: Callable[[Api], Awaitable[None]]) -> None:
    """Do something over the embedded backend's API."""

    async def run() -> None:
        async with api_of(read_settings(None, os.environ)) as api:
            await work(api)

    asyncio.run(run())


def test_a_registrys_password_comes_from_standard_input_and_is_shown_only_when_asked(
    web: Cli,
) -> None:
    piped(
        *("provider", "set", "docker", "web", "--image", "w:1", "--username", "me"),
        *("--password-stdin", "--yes"),
        stdin="hunter2\n",
    )

    assert web.json("provider", "show", "web")["password"] == "set"
    assert web.json("provider", "show", "web", "--reveal")["password"] == "hunter2"
    assert "hunter2" not in repr(audits(web))
    none = piped("provider", "set", "docker", "web", "--password-stdin", stdin="", code=2)
    assert "no value for password" in none.stderr


def test_credentials_in_an_address_are_masked(web: Cli) -> None:
    refused = piped("provider", "set", "git", "web", "--url", URL, "--yes", stdin="", code=2)
    assert "give it with --url-stdin" in refused.stderr

    words = ("provider", "set", "git", "web", "--url-stdin", "--yes")
    told = piped(*words, stdin=f"{URL}\n").stdout

    assert "https://***@example.com/a.git" in told
    assert "hunter2" not in told + web("provider", "show", "web").stdout + repr(audits(web))
    assert web.json("provider", "show", "web", "--reveal")["url"] == URL


# ── variables ────────────────────────────────────────────────────────────────


def test_variables_are_set_one_by_one_and_masked(web: Cli) -> None:
    told = piped(
        *("env", "set", "web", "A=1", "B=two words", "--secret", "KEY", "--build-arg", "C=3"),
        *("--build-secret", "D", "--yes"),
        stdin="hunter2\nhunter2 too\n",
    ).stdout
    web("env", "set", "web", "A=2", "--unset", "B", "--no-env-file", "--yes")

    assert "env.KEY: (nothing) → set" in told
    assert web("env", "show", "web").stdout == (
        "A=********\nKEY=********\nbuild argument C=********\nbuild secret D=********\n"
    )
    assert web.json("env", "show", "web", "--reveal") == {
        "app": "default/web",
        "app_id": web.json("apps")[0]["id"],
        "env": {"A": "2", "KEY": "hunter2"},
        "build_args": {"C": "3"},
        "build_secrets": {"D": "hunter2 too"},
        "create_env_file": False,
    }


def test_revealed_values_keep_their_lines_and_steer_no_terminal(
    web: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = "-----BEGIN\n  \tindented\x1b[31m\n-----END"
    piped("env", "set", "web", "PEM", "--yes", stdin=f"{value}\n")

    exact = web("env", "show", "web", "--reveal").stdout
    monkeypatch.setattr("bridge.cli.views.on_terminal", lambda: True)
    shown = web("env", "show", "web", "--reveal").stdout

    assert exact == f"PEM={value}\n"
    assert shown == "PEM=-----BEGIN\n  \tindented [31m\n-----END\n"
    assert web("env", "show", "web").stdout == "PEM=********\n"


REFUSED = [
    (("--secret", "KEY=hunter2"), "", "give 'KEY' alone"),
    (("--build-secret", "KEY=hunter2"), "", "give 'KEY' alone"),
    (("A B=hunter2",), "", "can't be a variable's name"),
    (("A", "B"), "hunter2\n", "has 1 lines, but A, B need one each"),
    (("A", "--build-secret", "A"), "hunter2\n", "named twice"),
    (("A=1", "--unset", "A"), "", "set and removed at once"),
]


def test_what_can_not_be_set_is_refused_without_the_value(web: Cli) -> None:
    for words, stdin, said in REFUSED:
        assert said in piped("env", "set", "web", *words, "--yes", stdin=stdin, code=2).stderr


def test_a_file_of_variables_is_laid_over_or_takes_the_place(web: Cli) -> None:
    web("env", "set", "web", "OLD=1", "A=old", "--yes")
    Path("vars").write_text("# ours\r\nA='new'\r\nB=\"x\ny\"\r\n")

    web("env", "import", "web", "vars", "--yes")
    first = web.json("env", "show", "web", "--reveal")["env"]
    web("env", "import", "web", "vars", "--replace", "--yes")
    second = web.json("env", "show", "web", "--reveal")["env"]

    assert first == {"OLD": "1", "A": "new", "B": "x\ny"}
    assert second == {"A": "new", "B": "x\ny"}


def test_a_file_without_variables_is_refused(web: Cli) -> None:
    Path("empty").write_text("# nothing here\n\n")
    Path("broken").write_text("A=1\n\nhunter2\nB=2 # two\n")
    Path("binary").write_bytes(b"A=\xff")

    assert "holds no variables" in web("env", "import", "web", "empty", code=2).stderr
    assert "can't be read" in web("env", "import", "web", "gone", code=2).stderr
    assert "not UTF-8 text" in web("env", "import", "web", "binary", code=2).stderr
    broken = web("env", "import", "web", "broken", "--yes", code=2).stderr
    assert "broken: line 3 can't be read" in broken
    assert "hunter2" not in broken
    assert "has no variables" in web("env", "show", "web").stdout


def test_undo_is_refused_with_what_somebody_has_changed_since(web: Cli) -> None:
    web("provider", "set", "git", "web", "--branch", "dev", "--yes")
    web("provider", "undo", "web", code=2)  # nobody can be asked

    async def theirs(api: Api) -> None:
        (app,) = await api.client.apps()
        git = GitSource(url="https://example.com/a.git", branch="theirs", watch_paths=("a",))
        await api.client.save_provider(app, git)

    at_backend(theirs)

    told = web("provider", "undo", "web", "--yes", code=2).stderr

    assert "branch: dev → theirs" in told  # among the rest of it
    assert "nothing was written" in told
