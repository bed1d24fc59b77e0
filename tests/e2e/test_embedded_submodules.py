"""A submodule brings nothing of this machine's disk but what lies beside the app's repository."""

import os
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.embedded import Client, Repository, running_server

SECRET = "secret of the machine"


@dataclass(frozen=True)
class Machine:
    """A folder of repositories, in it an app's, and one outside of it that nobody may read."""

    path: Path
    client: Client
    app: Repository
    private: Repository

    @property
    def beside(self) -> Path:
        return self.path / "git"

    def submodule(self, url: str, *, name: str = "stolen", **others: str) -> None:
        """Have the app's repository name a submodule; the commit is that of the private one."""
        head = self.private.git("rev-parse", "HEAD")
        self.app.git("update-index", "--add", "--cacheinfo", f"160000,{head},stolen")
        for key, value in {"path": "stolen", "url": url, **others}.items():
            self.app.git("config", "-f", ".gitmodules", f"submodule.{name}.{key}", value)
        self.app.git("add", ".gitmodules")
        self.app.git("commit", "-q", "-m", "feat: a submodule")

    def link(self, name: str, target: Path) -> None:
        """Have the app's repository bring a symbolic link."""
        link = self.app.path / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        self.app.git("add", name)

    async def deployed(self) -> tuple[dict[str, Any], str, str]:
        """Deploy; return how it ended, its log, and the private file as the site shows it."""
        app = await self.client.app("web", self.app.url)
        await self.client.save_git(app["applicationId"], self.app.url, enableSubmodules=True)
        ended = await self.client.deployed(app["applicationId"])
        page = await self.client.page(app, "stolen/secret.txt")
        return ended, await self.client.log(ended), page.text


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    private = Repository.make(tmp_path / "outside", {"secret.txt": SECRET})
    app = Repository.make(tmp_path / "git" / "mono")
    async with running_server(tmp_path / "data") as client:
        yield Machine(tmp_path, client, app, private)


def from_below(machine: Machine) -> str:
    """A path that only begins inside of the checkout."""
    return "docs" + "/.." * 30 + str(machine.path / "outside")


def a_link_with_a_colon(machine: Machine) -> str:
    machine.link("a:b", machine.private.path)
    return "a:b"


def a_link_below_the_scheme_of_a_good_address(machine: Machine) -> str:
    library = Repository.make(machine.beside / "library")
    machine.link(f"file:{library.path}", machine.private.path)
    return library.url


def a_link_below_a_scheme_with_a_path(machine: Machine) -> str:
    machine.link("d/x:", machine.path)
    return "d/x://outside"


def a_host_that_is_a_folder(machine: Machine) -> str:
    """Git reads `file://a/b` as the path /a/b."""
    return "file:/" + str(machine.private.path)


def a_repository_of_the_authors_making(machine: Machine) -> str:
    """A repository that is itself part of a work tree, and borrows the objects of another."""
    made = machine.app.path / "made"
    subprocess.run(["git", "init", "-q", "--bare", str(made)], check=True)
    objects = machine.private.path / ".git" / "objects"
    (made / "objects" / "info" / "alternates").write_text(f"{objects}\n")
    head = machine.private.git("rev-parse", "HEAD")
    (made / "refs" / "heads" / "main").write_text(f"{head}\n")
    (made / "HEAD").write_text("ref: refs/heads/main\n")
    return "./made"


def a_work_tree_of_another(machine: Machine) -> str:
    machine.private.git("worktree", "add", "-q", str(machine.beside / "tree"))
    return "../tree"


def a_link_that_a_suffix_finds(machine: Machine) -> str:
    (machine.beside / "library.git").symlink_to(machine.private.path / ".git")
    return "../library"


def a_question(machine: Machine) -> str:
    """A path that only begins beside the repository: to Git a question mark is part of a name."""
    (machine.beside / "x?").mkdir()
    return f"file://{machine.beside}/x?/../../outside"


def a_circle(machine: Machine) -> str:
    (machine.beside / "round").symlink_to("round")
    return "../round/x"


def a_sign_that_no_path_has(_machine: Machine) -> str:
    return "file:///a%00b"


def a_bundle(machine: Machine) -> str:
    machine.private.git("bundle", "create", "-q", str(machine.path / "all.bundle"), "main")
    machine.link("x:y", machine.path / "all.bundle")
    return "x:y"


@pytest.mark.parametrize(
    "attack",
    [
        from_below,
        a_link_with_a_colon,
        a_link_below_the_scheme_of_a_good_address,
        a_link_below_a_scheme_with_a_path,
        a_host_that_is_a_folder,
        a_repository_of_the_authors_making,
        a_work_tree_of_another,
        a_link_that_a_suffix_finds,
        a_question,
        a_circle,
        a_sign_that_no_path_has,
        a_bundle,
    ],
)
async def test_no_address_brings_a_repository_from_elsewhere(
    machine: Machine, attack: Callable[[Machine], str]
) -> None:
    machine.submodule(attack(machine))

    ended, log, shown = await machine.deployed()

    assert ended["status"] == "error", log
    assert SECRET not in shown
    assert "submodule" in log
    assert "of the deploy server itself" not in ended["errorMessage"]


SSH = ["127.0.0.1:repo.git", "ssh://git@127.0.0.1/owner/repo"]


@pytest.mark.journey
@pytest.mark.parametrize("url", SSH)
async def test_none_is_fetched_with_keys_that_its_app_does_not_use(
    machine: Machine, url: str
) -> None:
    """However its address is written."""
    machine.submodule(url)

    ended, log, _ = await machine.deployed()

    assert ended["status"] == "error", log
    assert ended["errorMessage"].startswith("a submodule is fetched over SSH")


@pytest.mark.parametrize("url", ["git@-oProxyCommand:x", "ext::sh:x"])
async def test_no_address_is_an_option_or_a_program(machine: Machine, url: str) -> None:
    machine.submodule(url)

    ended, log, _ = await machine.deployed()

    assert ended["status"] == "error", log
    assert ended["errorMessage"].startswith("a submodule can't be fetched")


@pytest.mark.parametrize(
    ("url", "link", "fetched"),
    [
        ("../library", "git@git.test:team", "git@git.test:team/library"),
        ("git.test:library", "git.test:library", "git@git.test:team/mono"),
    ],
)
async def test_one_of_an_app_over_ssh_is_fetched_as_it_is_written(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, url: str, link: str, fetched: str
) -> None:
    """Or not at all, where Git takes a link in the code for it: the app is what was fetched last.

    `ssh` here is a program of the test.
    """
    machine.submodule(url)
    machine.link(link, machine.private.path)
    machine.app.git("commit", "-q", "-m", "feat: a link")
    bin_ = machine.path / "bin"
    bin_.mkdir()
    (bin_ / "ssh").write_text(
        f'#!/bin/sh\necho "$*" >> {machine.path}/asked\n'
        f'case "$*" in *team/mono*) exec git-upload-pack {machine.app.path};; esac\nexit 1\n'
    )
    (bin_ / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    app = await machine.client.app("web", machine.app.url)
    source = "git@git.test:team/mono"
    await machine.client.save_git(app["applicationId"], source, enableSubmodules=True)

    ended = await machine.client.deployed(app["applicationId"])

    assert ended["status"] == "error", await machine.client.log(ended)
    asked = (machine.path / "asked").read_text().splitlines()
    host, _, path = fetched.partition(":")
    assert asked[-1].endswith(f"{host} git-upload-pack '{path}'")


async def test_nor_does_one_of_a_submodule(machine: Machine) -> None:
    between = Repository.make(machine.beside / "between")
    inner = Machine(machine.path, machine.client, between, machine.private)
    inner.submodule(a_link_with_a_colon(inner))
    machine.app.git("submodule", "--quiet", "add", between.url, "between")
    machine.app.commit("feat: a submodule of a submodule")

    app = await machine.client.app("web", machine.app.url)
    await machine.client.save_git(app["applicationId"], machine.app.url, enableSubmodules=True)
    ended = await machine.client.deployed(app["applicationId"])

    assert ended["status"] == "error", await machine.client.log(ended)
    assert "submodule" in ended["errorMessage"]


async def test_a_submodule_runs_no_command(machine: Machine, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    machine.submodule("../library", update=f"!touch {marker}")
    Repository.make(machine.beside / "library")

    _, _, shown = await machine.deployed()

    assert not marker.exists()
    assert SECRET not in shown


async def test_a_name_leads_nowhere(machine: Machine) -> None:
    machine.submodule("../library", name="../../hooks")
    Repository.make(machine.beside / "library")

    ended, log, _ = await machine.deployed()

    assert ended["status"] == "error", log


async def test_a_path_reaches_no_other_app(machine: Machine) -> None:
    """Git keeps to what is in the commit; what only `.gitmodules` says is not believed either."""
    library = Repository.make(machine.beside / "library", {"lib.js": "1"})
    machine.app.git("submodule", "--quiet", "add", library.url, "lib")
    machine.app.commit("feat: a library")
    first = await machine.client.app("first", machine.app.url)
    await machine.client.save_git(first["applicationId"], machine.app.url, enableSubmodules=True)
    await machine.client.deployed(first["applicationId"])
    (victim,) = (machine.path / "data").glob("**/code/lib")
    (victim / "lib.js").write_text("edited")
    second = Repository.make(machine.beside / "second")
    (second.path / ".gitmodules").write_text(
        f'[submodule "x"]\n\tpath = {victim}\n\turl = ../library\n'
    )
    second.commit("feat: somebody's path")
    app = await machine.client.app("second", second.url)
    await machine.client.save_git(app["applicationId"], second.url, enableSubmodules=True)

    await machine.client.deployed(app["applicationId"])

    assert (victim / "lib.js").read_text() == "edited"


@pytest.mark.parametrize("url", ["../library", "../sub/link", "{uri}"])
async def test_one_beside_its_repository_comes_along(machine: Machine, url: str) -> None:
    library = Repository.make(machine.beside / "lib rary", {"secret.txt": "of the library"})
    library.git("clone", "-q", "--bare", ".", str(machine.beside / "library.git"))
    (machine.beside / "sub").mkdir()
    (machine.beside / "sub" / "link").symlink_to("../lib rary")
    head = library.git("rev-parse", "HEAD")
    machine.submodule(url.format(uri=library.url))
    machine.app.git("update-index", "--cacheinfo", f"160000,{head},stolen")
    machine.app.git("commit", "-q", "-m", "fix: the library's own commit")

    ended, log, shown = await machine.deployed()

    assert ended["status"] == "done", log
    assert shown == "of the library"
