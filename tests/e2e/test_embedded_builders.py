"""Builders of the embedded server: the tools they call, with what, and what they say without them.

The tools are stand-ins that write down how they were called; their options follow the tools'
own documentation.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.embedded.building.process import Limits
from tests.worlds.embedded import Repository, path_with, path_without, running_server

ENV = 'API_TOKEN=t0p-secret-token\nPORT=3000\nMULTI="first line\\nsecond line"'
SECRETS = "NPM_TOKEN=npm-s3cret"
ARGS = "NODE_VERSION=22"

# Writes down its arguments and the values that it was given, and says the secrets aloud.
RECORDER = """
{{
  echo "CALL $(basename "$0")"
  for one in "$@"; do printf 'ARG %s\\n' "$one"; done
  env | sed 's/^/ENV /'
  for one in "$@"; do
    case "$one" in
      id=*,src=*) printf 'FILE %s=%s\\n' "$one" "$(cat "${{one#*src=}}")";;
    esac
    case "$one" in */container.env) sed 's/^/RUNENV /' "$one";; esac
  done
}} >> {calls}
case "$1" in
  run) echo 0123456789abcdef; exit 0;;
  image) echo '{{"8080/tcp":{{}}}}'; exit 0;;
  ps|rm) exit 0;;
esac
echo "building with npm-s3cret and t0p-secret-token"
exit 0
"""


class Calls:
    """What the stand-ins wrote down."""

    def __init__(self, file: Path) -> None:
        self.text = file.read_text()
        self.calls = [block.splitlines() for block in self.text.split("CALL ")[1:]]

    def of(self, tool: str, first: str | None = None) -> list[str]:
        """The arguments of the first call of a tool, with its first argument where given."""
        for lines in self.calls:
            args = [line[4:] for line in lines if line.startswith("ARG ")]
            if lines[0] == tool and first in (None, args[0]):
                return args
        raise AssertionError(f"{tool} {first or ''} was not called: {self.text}")

    def env(self, tool: str, first: str) -> dict[str, str]:
        for lines in self.calls:
            if lines[0] == tool and f"ARG {first}" in lines:
                pairs = (line[4:].partition("=") for line in lines if line.startswith("ENV "))
                return {name: value for name, _, value in pairs}
        raise AssertionError(f"{tool} {first} was not called")


async def built(
    tmp_path: Path, tools: tuple[str, ...], **build: Any
) -> tuple[Calls, dict[str, Any], str, Path]:
    """Deploy an application with stand-ins for tools; returns what they and the log say."""
    repository = Repository.make(tmp_path / "repository", {"Dockerfile": "FROM scratch\n"})
    calls = tmp_path / "calls"
    script = RECORDER.format(calls=calls)
    search_path = path_with(tmp_path / "tools", **dict.fromkeys(tools, script))
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        app = await client.app("web", repository.url, **build)
        await client.save_env(app["applicationId"], ENV, buildArgs=ARGS, buildSecrets=SECRETS)
        ended = await client.deployed(app["applicationId"])
        log = await client.log(ended)
    assert ended["status"] == "done", log
    code = tmp_path / "data" / "applications" / app["applicationId"] / "code"
    return Calls(calls), app, log, code


async def test_a_dockerfile_gets_arguments_secrets_and_its_env_file(tmp_path: Path) -> None:
    calls, app, log, code = await built(
        tmp_path,
        ("docker",),
        buildType="dockerfile",
        dockerfile="./Dockerfile",
        dockerContextPath="./",
        dockerBuildStage="production",
    )

    build = calls.of("docker", "build")
    assert build[build.index("--target") + 1] == "production"
    assert build[build.index("--tag") + 1] == f"{app['appName']}:latest"
    assert build[build.index("--build-arg") + 1] == "NODE_VERSION"
    assert calls.env("docker", "build")["NODE_VERSION"] == "22"
    assert "FILE id=NPM_TOKEN" in calls.text
    assert "=npm-s3cret" in calls.text  # from a file that only the build could read
    assert not [arg for arg in build if "npm-s3cret" in arg]
    assert (code / ".env").read_text().splitlines() == [
        "API_TOKEN=t0p-secret-token",
        "PORT=3000",
        'MULTI="first line\\nsecond line"',
    ]
    assert "npm-s3cret" not in log
    assert "t0p-secret-token" not in log
    assert "building with *** and ***" in log


async def test_a_container_starts_on_loopback_with_its_variables(tmp_path: Path) -> None:
    calls, app, _, _ = await built(tmp_path, ("docker",), buildType="dockerfile")

    run = calls.of("docker", "run")
    assert run[run.index("-p") + 1] == "127.0.0.1::8080/tcp"
    assert f"bridge.application={app['applicationId']}" in run
    assert "RUNENV API_TOKEN=t0p-secret-token" in calls.text
    assert "ENV MULTI=first line\nENV second line" in calls.text  # no file of Docker's holds it
    assert run[-1] == f"{app['appName']}:latest"


async def test_an_image_is_pulled_with_a_login_that_no_command_line_shows(tmp_path: Path) -> None:
    calls_file = tmp_path / "calls"
    script = RECORDER.format(calls=calls_file) + '\ncat "$DOCKER_CONFIG/config.json"'
    script = script.replace("exit 0", "") + f" >> {calls_file} 2>/dev/null; exit 0"
    search_path = path_with(tmp_path / "tools", docker=script)
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        app = await client.app("db")
        await client.ask(
            "POST",
            "application.saveDockerProvider",
            applicationId=app["applicationId"],
            dockerImage="registry.example.com/team/app:1.2",
            username="ada",
            password="hunter2-secret",
            registryUrl="https://registry.example.com",
        )
        ended = await client.deployed(app["applicationId"], title="image [br-1]")
        log = await client.log(ended)

    assert (ended["status"], ended["title"]) == ("done", "image [br-1]"), log
    calls = Calls(calls_file)
    assert calls.of("docker", "pull") == ["pull", "registry.example.com/team/app:1.2"]
    assert '"registry.example.com": {"auth": "YWRhOmh1bnRlcjItc2VjcmV0"}' in calls.text
    assert "hunter2-secret" not in calls.text
    assert "hunter2-secret" not in log


async def test_an_image_must_be_an_image(tmp_path: Path) -> None:
    async with running_server(tmp_path / "data") as client:
        id_ = (await client.app("db"))["applicationId"]
        none = {"username": None, "password": None, "registryUrl": None}
        for image in ("--privileged", "a b", "nginx;rm", "$(x)"):
            given = {"applicationId": id_, "dockerImage": image, **none}
            await client.ask("POST", "application.saveDockerProvider", **given)
            ended = await client.deployed(id_)

            assert ended["status"] == "error", image
            assert "not the name of an image" in ended["errorMessage"]


async def test_railpack_prepares_and_docker_builds_its_plan(tmp_path: Path) -> None:
    calls, app, _, _ = await built(
        tmp_path, ("railpack", "docker"), buildType="railpack", railpackVersion="0.15.4"
    )

    prepare = calls.of("railpack", "prepare")
    plan = prepare[prepare.index("--plan-out") + 1]
    build = calls.of("docker", "buildx")
    assert build[build.index("--file") + 1] == plan
    assert "BUILDKIT_SYNTAX=ghcr.io/railwayapp/railpack-frontend:v0.15.4" in build
    assert f"type=docker,name={app['appName']}:latest" in build
    assert "id=PORT,env=PORT" in build


@pytest.mark.parametrize(
    ("build_type", "version", "image"),
    [
        ("heroku_buildpacks", "22", "heroku/builder:22"),
        ("heroku_buildpacks", None, "heroku/builder:24"),
        ("paketo_buildpacks", None, "paketobuildpacks/builder-jammy-full:latest"),
    ],
)
async def test_buildpacks_use_their_builder_image(
    tmp_path: Path, build_type: str, version: str | None, image: str
) -> None:
    calls, app, _, code = await built(
        tmp_path, ("pack", "docker"), buildType=build_type, herokuVersion=version
    )

    argv = calls.of("pack", "build")
    assert argv[:6] == ["build", app["appName"], "--path", str(code), "--builder", image]


@pytest.mark.parametrize(
    "build_type",
    ["dockerfile", "nixpacks", "railpack", "heroku_buildpacks", "paketo_buildpacks"],
)
async def test_no_command_line_shows_a_value(tmp_path: Path, build_type: str) -> None:
    repository = Repository.make(tmp_path / "repository", {"Dockerfile": "FROM scratch\n"})
    calls = tmp_path / "calls"
    tools = dict.fromkeys(("docker", "nixpacks", "railpack", "pack"), RECORDER.format(calls=calls))
    search_path = path_with(tmp_path / "tools", **tools)
    names = ("A", "PATH", "LD_PRELOAD", "DOCKER_HOST", "HTTP_PROXY", "TOKEN")
    plain = "\n".join(f"{name}=v4lue-{name}" for name in names)
    several = "\n".join(f'M_{name}="v4lue one\\nv4lue two"' for name in names)
    reserved = 'XDG_X="v4lue one\\nv4lue two"'
    text = f"{plain}\n{several}\n{reserved}"
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        app = await client.app("web", repository.url, buildType=build_type)
        await client.save_env(app["applicationId"], text, buildArgs=text, buildSecrets=text)
        ended = await client.deployed(app["applicationId"])
        log = await client.log(ended)

    assert ended["status"] == "done", log
    said = Calls(calls)
    assert [one for lines in said.calls for one in lines if one.startswith("ARG ")]
    assert not [
        line for line in said.text.splitlines() if line.startswith("ARG ") and "v4lue" in line
    ]
    assert "docker itself would read them: " in log
    assert "v4lue" not in log


async def test_a_variable_can_not_change_how_a_tool_runs(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    calls = tmp_path / "calls"
    script = RECORDER.format(calls=calls)
    search_path = path_with(tmp_path / "tools", nixpacks=script, docker=script)
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        app = await client.app("web", repository.url, buildType="nixpacks")
        env = "PATH=/nowhere\nLD_PRELOAD=/evil.so\nDOCKER_HOST=tcp://evil"
        await client.save_env(app["applicationId"], env)
        ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "done"
    given = Calls(calls).env("nixpacks", "build")
    assert given["PATH"] == search_path
    assert "LD_PRELOAD" not in given
    assert "DOCKER_HOST" not in given


WAYS = {
    "dockerfile": ("docker", "https://docs.docker.com/engine/install/"),
    "nixpacks": ("nixpacks", "https://nixpacks.com/docs/install"),
    "railpack": ("railpack", "https://railpack.com/installation"),
    "heroku_buildpacks": ("pack", "https://buildpacks.io/"),
}


async def test_a_missing_tool_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"Dockerfile": "FROM scratch\n"})
    search_path = path_without(tmp_path / "bin", "docker", "nixpacks", "railpack", "pack")
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        for build_type, (tool, hint) in WAYS.items():
            app = await client.app(build_type, repository.url, buildType=build_type)
            ended = await client.deployed(app["applicationId"])
            log = await client.log(ended)

            assert ended["status"] == "error"
            assert f"{tool} is not installed here" in log
            assert hint in log


@pytest.mark.skipif(sys.platform != "linux", reason="macOS limits no address space")
async def test_a_program_has_its_memory_limit(tmp_path: Path) -> None:
    greedy = f"exec {sys.executable} -c 'bytearray(600 * 2**20); print(\"got it\")'"
    tools = path_with(tmp_path / "tools", nixpacks=greedy, docker="exit 0")
    repository = Repository.make(tmp_path / "origin")
    for mebibytes, status in ((300, "error"), (2048, "done")):
        limits = Limits(memory_bytes=mebibytes * 2**20)
        data = tmp_path / str(mebibytes)
        async with running_server(data, search_path=tools, limits=limits) as client:
            app = await client.app("web", repository.url, buildType="nixpacks")

            ended = await client.deployed(app["applicationId"])

            assert ended["status"] == status, await client.log(ended)
            said = "MemoryError" if status == "error" else "got it"
            assert said in await client.log(ended)


async def test_a_failing_container_tells_no_secret_in_the_record(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"Dockerfile": "FROM scratch\n"})
    script = 'if [ "$1" = run ]; then echo "bad value t0p-secret-token"; exit 125; fi'
    search_path = path_with(tmp_path / "tools", docker=script)
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        app = await client.app("web", repository.url, buildType="dockerfile")
        await client.save_env(app["applicationId"], ENV)
        ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "error"
    assert "bad value ***" in ended["errorMessage"]


async def test_no_env_file_where_none_is_wanted(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"Dockerfile": "FROM scratch\n"})
    search_path = path_with(tmp_path / "tools", docker="exit 0")
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        app = await client.app("web", repository.url, buildType="dockerfile")
        await client.save_env(app["applicationId"], "A=1", createEnvFile=False)
        await client.deployed(app["applicationId"])

    code = tmp_path / "data" / "applications" / app["applicationId"] / "code"
    assert not (code / ".env").exists()
