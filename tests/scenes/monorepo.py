"""The monorepo that `docs/monorepo.md` is about, and what the page's commands print there.

The page's blocks are the scenes: a `git show` says which commit to make, a `git tag` makes a tag,
and each command is followed by its output. After a change of what is printed, write the outputs
anew, and look at the difference:

    python -m tests.scenes.monorepo
"""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, chdir
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import bridge
from bridge.app.storage import open_stores
from bridge.backends.dokploy.client import Dokploy
from bridge.settings import read_settings
from tests.worlds.bridge import ZERO, Origin, make_stores
from tests.worlds.cli import Cli
from tests.worlds.embedded import Client, Repository, running_server

PAGE = Path(bridge.__file__).parents[1] / "docs" / "monorepo.md"
URL = "https://github.com/acme/mono.git"
SLACK = {"BRIDGE_SLACK_BOT_TOKEN": "xoxb-0", "BRIDGE_SLACK_SIGNING_SECRET": "0" * 32}

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROJECT = re.compile(r"^\| `(\w+)` \| (.*?) \|", re.MULTILINE)
SHOW = "git show --name-only --format=%s"
PROGRAM = "dokploy-bridge "
QUIET = "2>/dev/null"
GUESSED = re.compile(r"^assumed: --.*\n", re.MULTILINE)
"""Remarks that the page leaves out, and says so."""


def apps_of(page: str) -> dict[str, list[str]]:
    """Return the names of the apps of each project, as the page's table has them."""
    return {project: re.findall(r"`(\w+)`", names) for project, names in PROJECT.findall(page)}


def block_of(page: str, kind: str) -> str:
    """Return the page's only block of a kind."""
    (found,) = (text for its, text in BLOCK.findall(page) if its == kind)
    return str(found)


def argvs_of(script: str) -> list[list[str]]:
    """Return the arguments of each call of our command that a script makes in a real shell."""
    stub = "dokploy-bridge() { printf '%s\\0' \"$@\"; echo; }\n"
    done = subprocess.run(
        ["bash", "-euc", stub + script], check=True, capture_output=True, text=True
    )
    return [line.split("\0")[:-1] for line in done.stdout.splitlines()]


@dataclass
class Monorepo:
    """The repository, its apps at a backend, and commands for which a bridge has read them.

    Attributes:
        environment: the settings of the commands.
    """

    origin: Origin
    cli: Cli
    environment: dict[str, str]

    async def run(self, *words: str) -> tuple[str, str]:
        """Run a command of ours in a thread; return its output and its remarks."""
        found = await asyncio.to_thread(partial(self.cli, *words, code=0, **self.environment))
        url = self.environment["BRIDGE_DOKPLOY_URL"]
        return found.stdout, found.stderr.replace(url, "https://dokploy.example.com")

    async def shown(self, command: str, expected: str) -> str:
        """Return what a terminal shows of a command of the page; remarks come last.

        Args:
            expected: what the page shows of it.
        """
        folder = self.origin.repository.path
        if command == SHOW:
            subject, _, *files = expected.splitlines()
            before = self.origin.head()
            after = self.origin.repository.commit(subject, dict.fromkeys(files, subject))
            self._pushed("refs/heads/main", before, after)
        if command.startswith("git tag "):
            tag = command.removeprefix("git tag ")
            self.origin.repository.git("tag", tag)
            self._pushed(f"refs/tags/{tag}", ZERO, self.origin.head(tag))
            return ""
        if not command.startswith(PROGRAM):
            return _piped(command, folder)
        ours, *others = command.split(" | ")
        (words,) = argvs_of(ours)
        output, remarks = await self.run(*words)
        if others:
            output = _piped(" | ".join(others), folder, output)
        return output if QUIET in ours else output + GUESSED.sub("", remarks)

    def _pushed(self, ref: str, before: str, after: str) -> None:
        payload = self.origin.payload(ref, before, after)
        (self.cli.folder / "push.json").write_text(json.dumps(payload))


def _piped(command: str, folder: Path, given: str = "") -> str:
    shell = partial(subprocess.run, cwd=folder, capture_output=True, text=True, check=False)
    done = shell(["bash", "-c", command], input=given)  # `grep -c` exits with 1 for "0"
    return done.stdout + done.stderr


@asynccontextmanager
async def monorepo(page: str, folder: Path, cli: Cli) -> AsyncIterator[Monorepo]:
    """Build what the page tells of, and carry out its script."""
    projects = apps_of(page)
    files = {f"apps/{name}/package.json": "{}" for names in projects.values() for name in names}
    repository = Repository.make(folder / "mono", files | {"pnpm-lock.yaml": ""})
    origin = Origin(repository, name="acme/mono", url=URL)
    (cli.folder / "bridge.yaml").write_text(block_of(page, "yaml"))
    async with running_server(folder / "backend") as client:
        environment = {
            "BRIDGE_DATA": str(cli.data),
            "BRIDGE_DOKPLOY_URL": client.server.url,
            "BRIDGE_DOKPLOY_API_KEY": client.server.api_key,
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": "0" * 32,
            **SLACK,
        }
        mono = Monorepo(origin, cli, environment)
        script = {words[3]: words for words in argvs_of(block_of(page, "sh"))}
        # The commands change one app of each project; the others get the same by the API.
        ours = {label: script.pop(label) for label in first_of(projects) if label in script}
        given = {label: watched(words) for label, words in script.items()}
        await make_apps(client, projects, given)
        await make_stores(cli.data)
        await read_into(environment)
        for words in ours.values():
            await mono.run(*words)
        yield mono


def first_of(projects: dict[str, list[str]]) -> list[str]:
    """Return the label of the first app of each project."""
    return [f"{project}/{names[0]}" for project, names in projects.items()]


async def read_into(environment: dict[str, str]) -> None:
    """Read the apps as a bridge does."""
    settings = read_settings(None, environment)
    key = environment["BRIDGE_DOKPLOY_API_KEY"]
    backend = Dokploy(environment["BRIDGE_DOKPLOY_URL"], key)
    try:
        async with open_stores(settings) as stores:
            await stores.journal.save_apps("dokploy", await backend.apps())
    finally:
        await backend.close()


def watched(words: list[str]) -> list[str]:
    """Return the watch paths that the arguments of a command give."""
    return [value for option, value in pairwise(words) if option == "--watch"]


async def make_apps(
    client: Client, projects: dict[str, list[str]], watch: dict[str, list[str]]
) -> None:
    """Create the apps, with the watch paths of those that have some."""
    for project, names in projects.items():
        environment = await client.environment(project)
        for name in names:
            app = await client.app(name, environment=environment)
            paths = watch.get(f"{project}/{name}")
            await client.save_git(app["applicationId"], URL, watchPaths=paths)


async def with_outputs(page: str, mono: Monorepo) -> str:
    """Return the page with the outputs of its commands as they really are."""
    told: list[str] = []
    for part in re.split(r"(^```text\n\$ .*?^```$)", page, flags=re.MULTILINE | re.DOTALL):
        if not part.startswith("```text\n$ "):
            told.append(part)
            continue
        told.append("```text\n")
        inside = part.removeprefix("```text\n").removesuffix("```")
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", inside, re.MULTILINE):
            told += [f"$ {command}\n", await mono.shown(command, expected)]
        told.append("```")
    return "".join(told)


async def _rewritten(page: str) -> str:
    with TemporaryDirectory() as folder, chdir(folder):
        async with monorepo(page, Path(folder), Cli(Path(folder))) as mono:
            return await with_outputs(page, mono)


def main() -> None:
    """Write the outputs of the page anew."""
    PAGE.write_text(asyncio.run(_rewritten(PAGE.read_text())))


if __name__ == "__main__":
    main()
