"""An app is configured from the command line while the bridge runs, and deploys like that."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.worlds.embedded import Repository, holding, path_with
from tests.worlds.shell import Shell, serving


@dataclass
class DockerShell(Shell):
    """Where a stand-in for docker builds at once."""

    @property
    def environment(self) -> dict[str, str]:
        gate = self.folder / "gate"
        gate.touch()
        return super().environment | {"PATH": path_with(self.folder / "bin", docker=holding(gate))}


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[DockerShell]:
    async with serving(DockerShell(tmp_path)) as running:
        assert isinstance(running, DockerShell)
        yield running


@pytest.mark.slow
async def test_an_app_gets_another_source_and_variables_and_loses_them_again(
    shell: DockerShell, tmp_path: Path
) -> None:
    old = Repository.make(tmp_path / "old", {"web/index.html": "old"})
    new = Repository.make(tmp_path / "new", {"web/index.html": "new", "web/Dockerfile": "FROM a"})
    made = await shell.run(
        *("app", "create", "web", "--repo", str(old.path), "--publish", "web"),
        *("--watch", "web/**", "--watch", "!**/*.md"),
    )

    # another repository: it deploys from there
    told = await shell.run("provider", "set", "git", "web", "--url", new.url, "--yes")
    assert f"url: {old.url} → {new.url}" in told
    assert "the running bridge applies it from the next push on" in told
    followed = await shell.run("deploy", "web", "--follow")
    assert followed.splitlines()[-1].split()[1] == "done"
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(made.split()[-1])).text == "new"

    # another branch: what decides about pushes stays
    new.git("checkout", "-q", "-b", "dev")
    await shell.run("provider", "set", "git", "web", "--branch", "dev", "--tags", "v*", "--yes")
    now = await shell.json("provider", "show", "web")
    assert (now["branch"], now["watch_paths"]) == ("dev", ["web/**", "!**/*.md"])
    assert now["rules"]["set"] == {"tags": "v*"}

    # variables from a file reach the build, and no log
    file = tmp_path / "vars"
    file.write_text("GREETING='hello world'\nTOKEN=hunter2-hunter2\n")
    await shell.run("env", "import", "web", str(file), "--yes")
    await shell.run(
        *("build", "set", "web", "--type", "dockerfile", "--dockerfile", "web/Dockerfile"),
        *("--docker-context", "web", "--yes"),
    )
    await shell.run("deploy", "web", "--follow")
    (written,) = (tmp_path / "data").rglob(".env")
    assert 'GREETING="hello world"' in written.read_text()
    log = await shell.run("logs", "web", "--follow")
    assert "building" in log.splitlines()
    assert "hunter2" not in log
    assert (await shell.json("logs", "web", "--lines", "1"))["status"] == "done"

    # its logs go, its records stay
    cleared = await shell.run("clear", "web", "--yes")
    assert cleared.startswith("removed the logs of 2 deployments of default/web")
    assert len(await shell.json("deployments", "--app", "web")) == 2
    assert (await shell.json("logs", "web"))["log"] == []

    await shell.run("provider", "disconnect", "web", "--yes")
    assert (await shell.json("provider", "show", "web"))["source"] is None
