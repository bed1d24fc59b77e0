"""Dockerfiles and images, through the Docker command line."""

import asyncio
import base64
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.embedded.building.process import Command
from bridge.embedded.building.work import Work, refuse_links_outside, write_env_file, write_secrets
from bridge.embedded.places import BuildFailed, inside, words

_RESERVED = frozenset(words("PATH HOME SHELL TMPDIR IFS ENV BASH_ENV SSH_AUTH_SOCK"))
_RESERVED_PREFIXES = ("LD_", "DYLD_", "DOCKER_", "BUILDKIT_", "GIT_", "SSL_", "XDG_", "CNB_")


@dataclass(frozen=True, slots=True)
class Passed:
    """The ways in which a build tool takes variables.

    Attributes:
        argv: arguments that name them.
        env: holds their values.
    """

    argv: list[str]
    env: dict[str, str]


async def by_name(
    work: Work, tool: str, option: str, variables: Mapping[str, str], *, form: str = "{name}"
) -> Passed:
    """Name variables to a tool, each with an option; says in the log which are left out.

    Args:
        form: what follows the option.
    """
    passed = {name: value for name, value in variables.items() if not _is_reserved(name)}
    if left_out := sorted(variables.keys() - passed.keys()):
        names = ", ".join(left_out)
        await work.runner.log.say(f"Left out, since {tool} itself would read them: {names}")
    argv = [part for name in passed for part in (option, form.format(name=name))]
    return Passed(argv, passed)


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name.startswith(_RESERVED_PREFIXES)


# ── Dockerfiles and images, through the Docker command line ─────────────────────────────────────

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


# ── Builders that find out by themselves how to build: Nixpacks, Railpack, Buildpacks ───────────


class Nixpacks:
    """`nixpacks build`; it makes the image by itself."""

    async def build(self, work: Work) -> None:
        """Build and start."""
        await work.runner.require("nixpacks")
        await work.runner.require("docker")
        await _prepare(work)
        argv = ["nixpacks", "build", str(work.folder), "--name", work.name]
        passed = await by_name(work, "nixpacks", "--env", _variables(work))
        await work.runner.run(Command([*argv, *passed.argv], cwd=work.folder, env=passed.env))
        await start_container(work, f"{work.name}:latest")


class Railpack:
    """`railpack prepare` writes a plan, which Docker builds with Railpack's own frontend."""

    async def build(self, work: Work) -> None:
        """Build and start; variables reach the build as secrets, so no layer holds them."""
        await work.runner.require("railpack")
        await work.runner.require("docker")
        await _prepare(work)
        plan = work.scratch / "railpack-plan.json"
        passed = await by_name(work, "railpack", "--env", _variables(work))
        argv = ["railpack", "prepare", str(work.folder), "--plan-out", str(plan), *passed.argv]
        await work.runner.run(Command(argv, cwd=work.folder, env=passed.env))
        version = (work.application["railpackVersion"] or "").lstrip("v")
        frontend = "ghcr.io/railwayapp/railpack-frontend" + (f":v{version}" if version else "")
        argv = ["docker", "buildx", "build", "--build-arg", f"BUILDKIT_SYNTAX={frontend}"]
        argv += ["--file", str(plan), "--output", f"type=docker,name={work.name}:latest"]
        for name, path in (await write_secrets(work)).items():
            argv += ["--secret", f"id={name},src={path}"]
        plain = {**work.env, **work.build_args}
        kept = await by_name(work, "docker", "--secret", plain, form="id={name},env={name}")
        argv += [*kept.argv, str(work.folder)]
        await work.runner.run(Command(argv, cwd=work.folder, env=kept.env))
        await start_container(work, f"{work.name}:latest")


@dataclass(frozen=True, slots=True)
class Buildpacks:
    """`pack build` with a builder image.

    Attributes:
        version_field: the application's field with the builder's version, if there is one.
    """

    builder: str
    version_field: str | None
    default_version: str

    async def build(self, work: Work) -> None:
        """Build and start."""
        await work.runner.require("pack")
        await work.runner.require("docker")
        await _prepare(work)
        chosen = work.application[self.version_field] if self.version_field else None
        image = f"{self.builder}:{chosen or self.default_version}"
        passed = await by_name(work, "pack", "--env", _variables(work))
        argv = ["pack", "build", work.name, "--path", str(work.folder), "--builder", image]
        await work.runner.run(Command([*argv, *passed.argv], cwd=work.folder, env=passed.env))
        await start_container(work, f"{work.name}:latest")


def _variables(work: Work) -> dict[str, str]:
    return {**work.env, **work.build_args, **work.build_secrets}


async def _prepare(work: Work) -> None:
    await refuse_links_outside(work)
    await write_env_file(work)
    await work.runner.log.say(f"Building {work.name} with {work.application['buildType']}")


# ── Removing the containers of an application that is deleted ───────────────────────────────────

log = logging.getLogger(__name__)

_SECONDS = 20.0


async def remove_containers(application_id: str, search_path: str | None) -> None:
    """Remove them where Docker is there and answers; otherwise there are none of ours."""
    path = search_path or os.environ.get("PATH")
    docker = await asyncio.to_thread(shutil.which, "docker", path=path)
    if docker is None:
        return
    label = f"label={APPLICATION_LABEL}={application_id}"
    try:
        async with asyncio.timeout(_SECONDS):
            found = await _said(docker, "ps", "--all", "--quiet", "--filter", label)
            if found:
                await _said(docker, "rm", "--force", *found.split())
    except (OSError, TimeoutError) as error:
        log.warning("containers can't be removed", extra={"why": type(error).__name__})


async def _said(*argv: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace") if process.returncode == 0 else ""
