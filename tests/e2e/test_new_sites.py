"""`app create`: what could never deploy is refused, and two at once wait for each other."""

import asyncio
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.cli import Cli
from tests.worlds.embedded import Repository, running_server
from tests.worlds.processes import PIPE, start_bridge
from tests.worlds.rows import each_row

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mono(cli: Cli) -> Repository:
    return Repository.make(cli.folder / "mono")


@each_row(
    ("words", "said"),
    [
        (("--watch", "/web/**"), "Write `web/**`"),
        (("--watch", "../x/**"), "no `.` and `..` segments"),
        (("--watch", "web/**", "--watch", "a//b"), "Write `a/b`"),
        (("--watch", "[b-a]"), "--watch '[b-a]'"),
        (("--watch", ""), "Remove the empty pattern"),
        (("--branch", "refs/heads/main"), "write 'main'"),
        (("--branch", "refs/tags/v1"), "name a branch"),
        (("--branch", "release/*"), "patterns of branches are for the rules"),
        (("--branch", "-main"), "can't be a branch"),
        (("--branch", ""), "can't be a branch"),
        (("--branch", "HEAD"), "can't be a branch"),
        (("--publish", "/a/../../x"), "leads out of the repository"),
        (("--publish", "a/.git"), ".git is never published"),
        (("--project", "a/b"), "--project can't be"),
        (("--repo", "gone"), "not the address of a Git repository"),
        (("--repo", "./gone"), "there is no folder"),
        (("--repo", "~/gone"), "there is no folder"),
        (("--repo", "file:///gone"), "there is no folder"),
        (("--trigger", "tag", "--tags", "refs/tags/v*"), "write `v*`"),
        (("--trigger", "tag", "--tags", "v["), "no tag has `[` in its name"),
        (("--trigger", "tag", "--tags", "v 1"), "no tag has a space in its name"),
        (("--trigger", "tag", "--tags", "*.lock"), "ends with `.lock`"),
        (("--watch", "!**"), "It excludes every file"),
        (("--repo", "plain"), "is no Git repository"),
        (("--repo", "ext::sh -c id"), "transport 'ext' is not allowed"),
        (("--repo", "--upload-pack=id"), "can't be used"),
    ],
)
def test_what_could_never_deploy_is_refused_and_nothing_is_made(
    cli: Cli, mono: Repository, words: tuple[str, ...], said: str
) -> None:
    (cli.folder / "plain").mkdir(exist_ok=True)
    given = ["app", "create", "web", "--repo", "mono"]

    told = cli(*given, *words, code=2, BRIDGE_EMBEDDED_PORT="0").stderr

    assert said in " ".join(told.split())
    assert not cli.data.exists()


@each_row("name", ["../x", "..", " ", "a/b", "a\nb", "\x1b[31mx", "x" * 64, ""])
def test_a_name_that_could_be_read_as_something_else_is_refused(
    cli: Cli, mono: Repository, name: str
) -> None:
    told = cli("app", "create", "--repo", "mono", "--", name, code=2, BRIDGE_EMBEDDED_PORT="0")

    assert "the name can't be" in " ".join(told.stderr.split())
    assert not cli.data.exists()


def test_nobody_else_can_open_the_files_by_which_processes_take_turns(cli: Cli) -> None:
    Repository.make(cli.folder / "mono")

    cli("app", "create", "web", "--repo", "mono", BRIDGE_EMBEDDED_PORT="0")

    assert cli.data.stat().st_mode & 0o77 == 0
    locks = [*cli.data.glob("lock"), *cli.data.glob("*/*lock")]
    assert locks
    assert [lock.name for lock in locks if lock.stat().st_mode & 0o77] == []


@pytest.mark.parametrize("bare", [False, True])
def test_a_repository_beside_this_folder_is_taken(cli: Cli, bare: bool) -> None:
    repository = Repository.make(cli.folder / "mono")
    repository.git("branch", "release/ünï")
    if bare:
        repository.git("clone", "-q", "--bare", ".", str(cli.folder / "bare"))
    (cli.folder / "inner").mkdir()
    os.chdir(cli.folder / "inner")
    words = (
        "--repo",
        "../bare" if bare else "../mono",
        "--branch",
        "release/ünï",
        "--publish",
        "/",
    )

    made = cli.json("app", "create", "web", *words, BRIDGE_EMBEDDED_PORT="0")

    assert made["branch"] == "release/ünï"


async def created(folder: Path, name: str, *words: str) -> tuple[int, Any, str]:
    """`app create` as a process of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    process = await start_bridge(
        *("app", "create", name, "--repo", "mono", "--json", *words),
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT), "BRIDGE_EMBEDDED_PORT": "0"},
        stdout=PIPE,
        stderr=PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert process.returncode is not None
    made = json.loads(output) if process.returncode == 0 else None
    return process.returncode, made, errors.decode()


@pytest.mark.parametrize("beside", ["no backend", "a running one"])
async def test_apps_that_are_made_at_once_are_all_there(
    tmp_path: Path, cli: Cli, beside: str
) -> None:
    Repository.make(tmp_path / "mono")
    names = ["a", "b", "c", "same", "same"]
    if beside == "no backend":
        done = await asyncio.gather(*(created(tmp_path, name) for name in names))
    else:
        async with running_server(tmp_path / ".bridge" / "embedded"):
            done = await asyncio.gather(*(created(tmp_path, name) for name in names))

    assert sorted(code for code, _, _ in done) == [0, 0, 0, 0, 2], done
    (refused,) = [errors for code, _, errors in done if code == 2]
    assert "there is an app default/same already" in " ".join(refused.split())
    async with running_server(tmp_path / ".bridge" / "embedded") as client:
        projects = await client.ask("GET", "project.all")
        listed = await asyncio.to_thread(cli.json, "apps")
    assert [one["name"] for one in projects] == ["default"]
    there = [app["name"] for app in projects[0]["environments"][0]["applications"]]
    assert sorted(there) == ["a", "b", "c", "same"]
    assert sorted(one["app"] for one in listed) == [f"default/{name}" for name in sorted(there)]


SITE = {"index.html": "", "public/index.html": "", "public/en/index.html": "", "docs/a.md": ""}


@pytest.fixture(params=[False, True], ids=["a checkout", "bare"])
def with_a_site(cli: Cli, request: pytest.FixtureRequest) -> str:
    """A repository with branches, a site and a link; as `--repo` names it."""
    repository = Repository.make(cli.folder / "mono", SITE)
    (repository.path / "linked").symlink_to("public")
    repository.commit("feat: a link")
    repository.git("branch", "release")
    (repository.path / "web").mkdir()  # of the checkout alone
    if not request.param:
        return "./mono"
    repository.git("clone", "-q", "--bare", ".", str(cli.folder / "bare"))
    return "./bare"


@each_row(
    ("words", "said"),
    [
        (
            ("--publish", "nothere"),
            "nothere is not there; in the repository there are docs, public",
        ),
        (("--publish", "public/de"), "public/de is not there; in public/ there are en"),
        (("--publish", "index.html"), "index.html is a file"),
        (("--publish", "docs/a.md/x"), "docs/a.md is a file"),
        (("--branch", "mian"), "the repository has no such branch, but main, release"),
        (
            ("--watch", "docs"),
            "'docs' matches no file of branch main; for the folder write `docs/**`",
        ),
        (("--watch", "web/**"), "in the repository there are docs, index.html, linked, public"),
        (("--watch", "docs/**", "--watch", "**/*.css"), "'**/*.css' matches no file"),
    ],
)
def test_what_the_repository_does_not_have_is_refused_with_what_it_has(
    cli: Cli, with_a_site: str, words: tuple[str, ...], said: str
) -> None:
    given = ["app", "create", "web", "--repo", with_a_site]

    told = cli(*given, *words, code=2, BRIDGE_EMBEDDED_PORT="0").stderr

    assert said in " ".join(told.split())
    assert not cli.data.exists()


def test_what_the_repository_has_is_taken(cli: Cli) -> None:
    repository = Repository.make(cli.folder / "mono", SITE)
    (repository.path / "linked").symlink_to("public")
    repository.commit("feat: a link")
    for name, publish in (("a", "public/en"), ("b", "/public/"), ("c", "linked/en"), ("d", "./")):
        words = ("--publish", publish, "--watch", "docs/**", "--watch", "!web/**")
        made = cli("app", "create", name, "--repo", "mono", *words, BRIDGE_EMBEDDED_PORT="0")
        assert "not checked" not in made.stderr


@pytest.mark.parametrize("silent", [False, True])
def test_a_branch_that_can_not_be_checked_is_told(
    cli: Cli, silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.cli.new_site.PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://me:hunter2@127.0.0.1:{server.getsockname()[1]}/mono.git"
        if not silent:
            server.close()
        began = time.monotonic()
        made = cli("app", "create", "web", "--repo", address, BRIDGE_EMBEDDED_PORT="0")

    assert "--branch main was not checked" in made.stderr
    assert "hunter2" not in made.stderr
    assert time.monotonic() - began < 8


@each_row(
    ("words", "said"),
    [
        (("--tags", "v*"), "give --trigger tag with it"),
        (("--tags", "v*", "--trigger", "push"), "give --trigger tag with it"),
        (("--trigger", "tags"), "--trigger must be push or tag"),
        (("--trigger", "tag", "--tags", "[b-a]"), "--tags '[b-a]'"),
        (("--trigger", "tag", "--tags", " "), "--tags is empty"),
    ],
)
def test_tags_are_for_apps_that_tags_deploy(
    cli: Cli, mono: Repository, words: tuple[str, ...], said: str
) -> None:
    given = ["app", "create", "web", "--repo", "mono", *words]

    assert said in " ".join(cli(*given, code=2, BRIDGE_EMBEDDED_PORT="0").stderr.split())
    assert not cli.data.exists()


def test_an_app_can_be_made_that_tags_deploy(cli: Cli) -> None:
    Repository.make(cli.folder / "mono")
    words = ("--repo", "mono", "--trigger", "tag", "--tags", "v*")
    alone = {"BRIDGE_EMBEDDED_PORT": "0"}

    made = cli.json("app", "create", "web", *words, **alone)
    (listed,) = cli.json("apps")
    shown = cli.json("provider", "show", "web", **alone)

    assert made["rules"] == listed["rules"] == {"trigger": "tag", "tags": "v*"}
    assert "v*" in json.dumps(shown)
    elsewhere = {"BRIDGE_DOKPLOY_URL": "http://127.0.0.1:1", "BRIDGE_DOKPLOY_API_KEY": "k"}
    told = cli("app", "create", "web2", *words, code=2, **alone, **elsewhere).stderr
    assert "--trigger and --tags are rules of this bridge" in " ".join(told.split())


# ── deleting ─────────────────────────────────────────────────────────────────


def apps_of(cli: Cli) -> list[str]:
    return [one["app"] for one in cli.json("apps")]


def test_an_app_is_not_deleted_where_nobody_can_be_asked(cli: Cli) -> None:
    Repository.make(cli.folder / "mono")
    free: dict[str, Any] = {"BRIDGE_EMBEDDED_PORT": "0"}
    cli("app", "create", "web", "--repo", "mono", **free)

    told = cli("app", "delete", "web", code=2, **free).stderr
    kept = apps_of(cli)
    cli("app", "delete", "web", "--yes", **free)

    assert "this deletes default/web with its site and its logs" in told
    assert "give --yes" in told
    assert kept == ["default/web"]
    assert apps_of(cli) == []
