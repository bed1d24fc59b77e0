"""Earlier builds of the embedded server: what it keeps, and how it serves them again."""

import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.backends import embedded_client
from bridge.core.health.containers import Container
from bridge.embedded.storage.history import KEPT, LASTED, RETENTION
from tests.worlds.embedded import Client, Repository, path_with, running_server

ROLLING_BACK = "Error input: Rolling back"

# A Docker of files: containers and tags are lines; a container's file holds its variables.
DOCKER = """
cd {state}; echo "$*" >>calls
if [ -e broken ]; then echo "the daemon is away: $(cat containers/*)"; exit 1; fi
case "$1 $2" in
  "build "*) while [ -e hold ]; do sleep 0.02; done;;
  "tag "*) echo "${{3#*:}}" >>tags;;
  "image ls") sort -u tags;;
  "image rm") shift 2; for one in "$@"; do grep -vx "${{one#*:}}" tags >left; mv left tags; done;;
  "image inspect") for one in "$@"; do last=$one; done
    tag="${{last#*:}}"; [ "$tag" = latest ] || grep -qx "$tag" tags || exit 1; echo null;;
  "container inspect") for one in "$@"; do last=$one; done; [ "$last" = 0123 ] || exit 1
    tag=$(cat containers/* | tail -n 1); [ -e foreign ] || printf '{{"Image":"sha256:%s"}}' "$tag";;
  "run "*)
    while [ $# -gt 1 ]; do
      case "$1" in --name) name=$2;; --env-file) file=$2;; esac; shift
    done
    cat "$file" >"containers/$name"; echo "$1" >>"containers/$name"
    printf '%064d\\n' 7;;
  "ps --all") case "$*" in
    *--quiet*) ls containers;;
    *) form='{{"containerId":"0123","name":"%s","state":"running","status":"Up 2 seconds"}}\\n'
    for one in $(ls containers); do printf "$form" $one; done;; esac;;
  "rm --force") shift 2; for one in "$@"; do rm "containers/$one"; done;;
  "logs "*) echo "a line"; echo "another line" >&2;;
esac
"""


class Docker:
    """The stand-in, and what it has."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        (self.state / "containers").mkdir(parents=True)
        (self.state / "tags").touch()
        self.path = path_with(folder / "tools", docker=DOCKER.format(state=self.state))

    @property
    def containers(self) -> list[str]:
        """What each container was started with: its variables, and its image."""
        return [one.read_text() for one in (self.state / "containers").iterdir()]

    @property
    def tags(self) -> set[str]:
        return set((self.state / "tags").read_text().split())


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return Docker(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "repository", {"index.html": "1", "Dockerfile": "FROM x"})


async def versions(client: Client, repository: Repository, id_: str, last: int) -> list[str]:
    """Deploy versions from 1 to the last; return their deployments, oldest first."""
    found = []
    for number in range(1, last + 1):
        repository.commit(str(number), {"index.html": str(number)})
        await client.save_env(id_, f"API_TOKEN=t0p-secret-{number}")
        ended = await client.deployed(id_)
        assert ended["status"] == "done", await client.log(ended)
        found.append(ended["deploymentId"])
    return found


async def roll_back(client: Client, id_: str) -> None:
    answer = await client.send("POST", "rollback.rollback", rollbackId=id_)
    assert (answer.status_code, answer.content) == (200, b""), answer.text


async def points(client: Client, id_: str) -> dict[str, str | None]:
    """What can be served again, by deployment."""
    return {one["deploymentId"]: one["rollbackId"] for one in await client.deployments(id_)}


# ── Sites ────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_kept_is_told_wherever_deployments_are_listed(
    tmp_path: Path, repository: Repository
) -> None:
    async with running_server(tmp_path / "data") as client:
        app = await client.app("web", repository.url)
        id_ = app["applicationId"]
        (built,) = await versions(client, repository, id_, 1)
        await client.save_build(id_, publishDirectory="no-such-folder")
        failed = (await client.deployed(id_))["deploymentId"]

        assert await points(client, id_) == {built: built, failed: None}
        by_type = await client.ask("GET", "deployment.allByType", id=id_, type="application")
        assert [one["rollback"] and one["rollback"]["rollbackId"] for one in by_type] == [
            None,
            built,
        ]
        everywhere = await client.ask("GET", "deployment.allCentralized")
        inside = (await client.ask("GET", "application.one", applicationId=id_))["deployments"]
        for listed in (everywhere, inside):
            assert {one["deploymentId"]: one["rollbackId"] for one in listed} == {
                built: built,
                failed: None,
            }


async def test_neither_a_burst_of_pushes_nor_failing_builds_remove_what_worked(
    tmp_path: Path, repository: Repository
) -> None:
    async with running_server(tmp_path / "data") as client:
        id_ = (await client.app("web", repository.url))["applicationId"]
        older, worked = await versions(client, repository, id_, 2)
        releases = tmp_path / "data" / "sites" / id_ / "releases"
        for age, release in ((2 * LASTED, older), (LASTED, worked)):
            then = time.time() - age
            os.utime(releases / release, (then, then))
        burst = await versions(client, repository, id_, KEPT)
        await client.save_build(id_, publishDirectory="no-such-folder")
        for _ in range(RETENTION):
            await client.deployed(id_)
        found = await points(client, id_)

    assert {id_ for id_, point in found.items() if point} == {worked, *burst}
    assert len(found) == RETENTION + KEPT + 1


async def test_what_is_not_kept_is_refused_in_the_words_of_dokploy(
    tmp_path: Path, repository: Repository
) -> None:
    async with running_server(tmp_path / "data") as client:
        id_ = (await client.app("web", repository.url))["applicationId"]
        first, *_ = await versions(client, repository, id_, KEPT + 1)

        for unknown in ("nope", "../../x", first):
            answer = await client.send("POST", "rollback.rollback", rollbackId=unknown)
            assert (answer.status_code, answer.json()["message"]) == (400, ROLLING_BACK)


# ── Images ───────────────────────────────────────────────────────────────────────────────────────


async def image_app(client: Client, repository: Repository) -> dict[str, Any]:
    return await client.app("api", repository.url, buildType="dockerfile", dockerfile="Dockerfile")


@pytest.mark.journey
async def test_an_earlier_image_runs_again_with_the_variables_of_then(
    tmp_path: Path, docker: Docker, repository: Repository
) -> None:
    async with running_server(tmp_path / "data", search_path=docker.path) as client:
        app = await image_app(client, repository)
        first, _ = await versions(client, repository, app["applicationId"], 2)

        await roll_back(client, first)

        (container,) = docker.containers
        assert container.split() == ["API_TOKEN=t0p-secret-1", f"{app['appName']}:v-{first}"]
        assert len(await client.deployments(app["applicationId"])) == 2
    kept = tmp_path / "data" / "applications" / app["applicationId"] / "variables"
    files = [one for one in kept.rglob("*") if one.is_file()]
    assert len(files) == 2
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    published = [one for one in (tmp_path / "data" / "sites").rglob("*") if one.is_file()]
    assert not [one for one in published if "t0p-secret" in one.read_text()]


async def test_an_image_of_a_registry_is_kept_although_its_name_moves_on(
    tmp_path: Path, docker: Docker
) -> None:
    async with running_server(tmp_path / "data", search_path=docker.path) as client:
        app = await client.app("db")
        await client.ask(
            "POST",
            "application.saveDockerProvider",
            applicationId=app["applicationId"],
            dockerImage="registry.example.com/team/app:latest",
            username=None,
            password=None,
            registryUrl=None,
        )
        first = (await client.deployed(app["applicationId"]))["deploymentId"]
        await client.deployed(app["applicationId"])

        await roll_back(client, first)

        (container,) = docker.containers
        assert container.strip() == f"{app['appName']}:v-{first}"


async def test_tags_that_are_not_kept_are_removed_and_all_with_the_app(
    tmp_path: Path, docker: Docker, repository: Repository
) -> None:
    async with running_server(tmp_path / "data", search_path=docker.path) as client:
        id_ = (await image_app(client, repository))["applicationId"]
        made = await versions(client, repository, id_, KEPT + 2)

        assert docker.tags == {f"v-{one}" for one in made[-KEPT:]}
        await client.ask("POST", "application.delete", applicationId=id_)
        assert docker.tags == set()
        assert docker.containers == []


async def test_a_container_that_does_not_start_is_told_without_its_secrets(
    tmp_path: Path, docker: Docker, repository: Repository
) -> None:
    async with running_server(tmp_path / "data", search_path=docker.path) as client:
        id_ = (await image_app(client, repository))["applicationId"]
        first, _ = await versions(client, repository, id_, 2)
        await roll_back(client, first)
        (docker.state / "broken").touch()

        answer = await client.send("POST", "rollback.rollback", rollbackId=first)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{ROLLING_BACK}: docker ended with exit code 1")
    assert "the daemon is away" in answer.text
    assert "t0p-secret" not in answer.text


# ── Containers ───────────────────────────────────────────────────────────────────────────────────


async def test_the_containers_of_an_app_are_listed_as_dokploy_does(
    tmp_path: Path, docker: Docker, repository: Repository
) -> None:
    async with running_server(tmp_path / "data", search_path=docker.path) as client:
        app = await image_app(client, repository)
        await client.deployed(app["applicationId"])
        (listed,) = await client.ask(
            "GET", "docker.getContainersByAppNameMatch", appName=app["appName"]
        )
        backend = embedded_client(client.server.url, client.server.api_key)
        try:
            (known,) = await backend.apps()
            found = await backend.containers(known)
            output = await backend.output(known, 20)
        finally:
            await backend.close()

    assert listed.keys() == {"containerId", "name", "state", "status"}
    assert listed["name"].startswith(f"{app['appName']}.1.")
    assert found == [Container(listed["name"], "running", "Up 2 seconds")]
    assert output == "a line\nanother line\n"


async def test_the_image_that_an_app_runs_is_told_without_its_variables(
    tmp_path: Path, docker: Docker, repository: Repository
) -> None:
    async with running_server(tmp_path / "data", search_path=docker.path) as client:
        app = await image_app(client, repository)
        backend = embedded_client(client.server.url, client.server.api_key)
        try:
            (known,) = await backend.apps()
            before, stopped = await backend.images(known), await backend.stopped(known)
            await versions(client, repository, app["applicationId"], 1)
            during = await backend.images(known)
        finally:
            await backend.close()
        told = await client.send("GET", "docker.getConfig", containerId="0123")
        unknown = await client.send("GET", "docker.getConfig", containerId="4567")
        (docker.state / "foreign").touch()  # it bears no label of this server
        foreign = await client.send("GET", "docker.getConfig", containerId="0123")

    assert (before, stopped) == ((), False)  # it is idle, but nobody can stop an app
    assert during == (f"sha256:{app['appName']}:latest",)
    assert "t0p-secret" not in told.text
    assert [(one.status_code, one.content) for one in (unknown, foreign)] == [(200, b"")] * 2
    assert "Env" not in (docker.state / "calls").read_text()


async def test_a_docker_that_does_not_answer_is_not_that_nothing_runs(
    tmp_path: Path, docker: Docker, repository: Repository
) -> None:
    async with running_server(tmp_path / "data", search_path=docker.path) as client:
        app = await image_app(client, repository)
        await client.deployed(app["applicationId"])
        (docker.state / "broken").touch()
        asked = {
            "docker.getContainersByAppNameMatch": {"appName": app["appName"]},
            "application.readLogs": {"applicationId": app["applicationId"]},
        }
        answers = [await client.send("GET", name, **fields) for name, fields in asked.items()]

    assert [one.status_code for one in answers] == [503, 503]
    assert "t0p-secret" not in "".join(one.text for one in answers)


# ── Where the bridge reaches a site ──────────────────────────────────────────────────────────────


async def test_a_site_is_reached_from_here_where_people_have_no_address(
    tmp_path: Path, repository: Repository
) -> None:
    async with running_server(tmp_path / "data") as client:
        app = await client.app("web", repository.url)
        await client.app("api", repository.url, buildType="dockerfile")
        await client.deployed(app["applicationId"])
        server = client.server
        ours = embedded_client(server.url, server.api_key, sites=server.sites_url)
        another = embedded_client(server.url, server.api_key)
        try:
            apps = {one.name: one for one in await ours.apps()}
            url = await ours.local_url(apps["web"])
            assert (await client.http.get(f"{url}/")).text == "1"
            assert await ours.local_url(apps["api"]) is None
            assert await another.local_url(apps["web"]) is None
            assert [one.url for one in apps.values()] == [None, None]
        finally:
            await ours.close()
            await another.close()
