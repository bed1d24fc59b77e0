"""Dockerfiles and images, through the Docker command line."""

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path

from bridge.backends.embedded.building.builders.passing import by_name
from bridge.backends.embedded.building.builders.work import Work, write_env_file, write_secrets
from bridge.backends.embedded.building.errors import BuildFailed
from bridge.backends.embedded.building.process import Command
from bridge.backends.embedded.places import inside

APPLICATION_LABEL = "bridge.application"
"""On every container that we start; its value is the application's id."""

_IMAGE = re.compile(r"[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?", re.IGNORECASE)
_STAGE = re.compile(r"[A-Za-z0-9][\w.-]*")
_NANO = 1_000_000_000
_HUB = "https://index.docker.io/v1/"


class Dockerfile:
    """`docker build`, then a container of the new image."""

    async def build(self, work: Work) -> None:
        """Build and start; the old container goes only when the new one has started."""
        app = work.application
        await work.runner.require("docker")
        await write_env_file(work)
        file, context = await asyncio.to_thread(_inputs, work)
        argv = ["docker", "build", "--file", str(file), "--tag", f"{work.name}:latest"]
        if stage := app["dockerBuildStage"]:
            if not _STAGE.fullmatch(stage):
                raise BuildFailed(f"build stage {stage!r} is no name of a stage")
            argv += ["--target", stage]
        if app["cleanCache"]:
            argv.append("--no-cache")
        passed = await by_name(work, "docker", "--build-arg", work.build_args)
        argv += passed.argv
        for key, path in (await write_secrets(work)).items():
            argv += ["--secret", f"id={key},src={path}"]
        await work.runner.log.say(f"Building {work.name}")
        env = passed.env | {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
        await work.runner.run(Command([*argv, str(context)], cwd=work.folder, env=env))
        await work.runner.log.say("Docker build completed: ✅")
        await start_container(work, f"{work.name}:latest")


class Image:
    """An image from a registry; nothing is built."""

    async def build(self, work: Work) -> None:
        """Pull and start."""
        image = work.application["dockerImage"]
        if not image:
            raise BuildFailed("no Docker image is configured: save a Docker provider first")
        if not _IMAGE.fullmatch(image):
            raise BuildFailed(f"{image[:200]!r} is no name of an image")
        await work.runner.require("docker")
        await work.runner.log.say(f"Pulling {image}")
        env = await _login(work)
        await work.runner.run(Command(["docker", "pull", image], env=env))
        await start_container(work, image)


async def start_container(work: Work, image: str) -> None:
    """Start a container of the image and remove the application's older ones."""
    run = work.runner.run
    old = await containers(work)
    env_file = work.scratch / "container.env"
    await asyncio.to_thread(_write_env, env_file, work.env)
    argv = ["docker", "run", "--detach", "--restart", "unless-stopped"]
    argv += ["--name", f"{work.name}-{work.deployment_id[:8].strip('_-')}"]
    argv += ["--label", f"{APPLICATION_LABEL}={work.application['applicationId']}"]
    argv += ["--env-file", str(env_file), *_resources(work)]
    argv += [part for port in await _ports(work, image) for part in ("-p", f"127.0.0.1::{port}")]
    several = {key: value for key, value in work.env.items() if "\n" in value}
    passed = await by_name(work, "docker", "--env", several)  # the file knows single lines only
    command = Command([*argv, *passed.argv, image], env=passed.env, quiet=True)
    new = (await run(command)).split()[-1:]
    await work.runner.log.say(f"Started container {new[0][:12] if new else ''}: ✅")
    if old:
        await run(Command(["docker", "rm", "--force", *old], quiet=True))
        await work.runner.log.say(f"Removed {len(old)} older containers")


async def containers(work: Work) -> list[str]:
    """Ids of the application's containers."""
    label = f"label={APPLICATION_LABEL}={work.application['applicationId']}"
    argv = ["docker", "ps", "--all", "--quiet", "--filter", label]
    return (await work.runner.run(Command(argv, quiet=True))).split()


async def _ports(work: Work, image: str) -> list[str]:
    argv = ["docker", "image", "inspect", "--format", "{{json .Config.ExposedPorts}}", image]
    said = await work.runner.run(Command(argv, quiet=True))
    try:
        return sorted(json.loads(said) or {})
    except (ValueError, TypeError):
        return []


async def _login(work: Work) -> dict[str, str]:
    """A Docker configuration of our own that holds the registry's login, if there is one."""
    app = work.application
    if not app["username"] or not app["password"]:
        return {}
    login = base64.b64encode(f"{app['username']}:{app['password']}".encode()).decode()
    own = (app["registryUrl"] or "").removeprefix("https://").rstrip("/")
    config = {"auths": {own or _HUB: {"auth": login}}}
    await asyncio.to_thread(_write_config, work.scratch / "config.json", config)
    return {"DOCKER_CONFIG": str(work.scratch)}


def _resources(work: Work) -> list[str]:
    """The application's own limits; the server keeps bytes and billionths of a CPU."""
    argv = []
    if (memory := work.application["memoryLimit"]) and memory.isdigit():
        argv += ["--memory", memory]
    if (cpus := work.application["cpuLimit"]) and cpus.isdigit():
        argv += ["--cpus", f"{int(cpus) / _NANO:g}"]
    return argv


def _inputs(work: Work) -> tuple[Path, Path]:
    file = inside(work.folder, work.application["dockerfile"] or "Dockerfile", what="Dockerfile")
    context = inside(work.folder, work.application["dockerContextPath"], what="context path")
    return file, context


def _write_env(path: Path, env: Mapping[str, str]) -> None:
    lines = [f"{key}={value}\n" for key, value in env.items() if "\n" not in value]
    path.touch(mode=0o600)
    path.write_text("".join(lines), encoding="utf-8")


def _write_config(path: Path, config: object) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(config), encoding="utf-8")
