"""The container image: built from the Dockerfile, started, used, stopped and started again."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.recording_backend import free_port
from tests.worlds.embedded import Repository, git_server
from tests.worlds.image import TAG, Container, Podman, built_image, reached

pytestmark = pytest.mark.slow

UID = 10_001
LARGEST = 450 * 10**6
"""Bytes; what is beyond Python, Git and our dependencies is somebody's cache."""


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    with built_image(tmp_path_factory.mktemp("image")) as built:
        yield built


@pytest.fixture
def container(podman: Podman) -> Iterator[Container]:
    port = free_port()
    one = Container(podman, port, f"dokploy-bridge-test-{port}")
    yield one
    one.remove()


def test_the_image_says_what_it_is(podman: Podman) -> None:
    image = podman.inspect(TAG)
    config, labels = image["Config"], image["Config"]["Labels"]

    assert config["User"] == f"{UID}:{UID}"
    assert list(config["Volumes"]) == ["/data"]
    assert (config["Entrypoint"], config["Cmd"]) == (["tini", "--", "dokploy-bridge"], ["serve"])
    assert image["Healthcheck"]["Test"][0] == "CMD"  # no shell
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.revision"] == "0123abc"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert image["Size"] < LARGEST


async def test_a_container_deploys_stops_in_time_and_keeps_its_data(
    container: Container, tmp_path: Path
) -> None:
    container.start()
    await container.until_it_says("serving")
    async with reached(container) as http:
        assert (await http.get("/readyz")).status_code == 200
    assert container.podman.run("healthcheck", "run", container.name).returncode == 0

    Repository.make(tmp_path / "git" / "site.git", {"index.html": "first"})
    async with git_server(tmp_path / "git") as server:
        made = ["app", "create", "web", "--repo", f"{server.url}/site.git", "--publish", "."]
        await asyncio.to_thread(container.ask, "dokploy-bridge", *made)
        shown = await asyncio.to_thread(
            container.ask, "dokploy-bridge", "deploy", "web", "--follow"
        )
    assert "done" in shown.stdout
    await asyncio.to_thread(runs_without_rights, container)

    began = time.monotonic()
    assert container.stop(10) == 0
    assert time.monotonic() - began < 10

    container.again()
    await container.until_it_says("serving")
    assert "done" in container.ask("dokploy-bridge", "deployments").stdout


def runs_without_rights(container: Container) -> None:
    """It is not root, others can't read its data, and it can't change its own code."""
    assert container.ask("id", "-u").stdout.strip() == str(UID)
    assert container.ask("stat", "-c", "%u %a", "/data").stdout.split() == [str(UID), "700"]
    refused = container.ask("touch", "/opt/dokploy-bridge/app/bridge/new.py", check=False)
    assert refused.returncode != 0
    assert container.ask("pip", "--version", check=False).returncode != 0
