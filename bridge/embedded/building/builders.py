"""Build an image (Dockerfile, Nixpacks, Railpack, Buildpacks), and run its container."""

import asyncio
import base64
import json
import os
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bridge.embedded.building.containers import label_of
from bridge.embedded.building.process import Command, Runner
from bridge.embedded.building.sources import as_env_file
from bridge.embedded.storage.history import Facts, Releases
from bridge.embedded.storage.paths import BuildFailed, Remover, inside, words, write_private
from bridge.embedded.storage.records import Record


@dataclass(frozen=True, slots=True)
class Work:
    """The input of one build.

    Attributes:
        application: its record when the build began.
        checkout: root of the repository; no link may lead out of it.
        folder: the build path in it.
        scratch: an empty folder for files with secrets, removed afterwards.
        releases: of the application.
        serving: held while it is switched to another release.
        remover: removes folders that are no longer needed.
        env, build_args, build_secrets: parsed and resolved.
    """

    application: Record
    deployment_id: str
    checkout: Path
    folder: Path
    scratch: Path
    releases: Releases
    serving: asyncio.Lock
    runner: Runner
    remover: Remover
    env: Mapping[str, str]
    build_args: Mapping[str, str]
    build_secrets: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return the name of the image and the container, e.g. "web-jwkg6q"."""
        return str(self.application["appName"])


class Builder(Protocol):
    """Builds an application."""

    async def build(self, work: Work) -> None:
        """Build the new version and start serving it; the old one stays until then.

        Raises:
            BuildFailed: the old version is still served.
        """


async def write_env_file(work: Work) -> None:
    """Write `.env` beside the code if the application wants it."""
    if work.application["createEnvFile"] and work.env:
        await asyncio.to_thread(write_private, work.folder / ".env", as_env_file(work.env))
        await work.runner.log.say(f"Wrote .env with {len(work.env)} variables")


async def write_secrets(work: Work) -> dict[str, Path]:
    """Write each build secret to a private file that is removed after the build."""
    files = {name: work.scratch / f"secret-{name}" for name in work.build_secrets}
    for name, path in files.items():
        await asyncio.to_thread(write_private, path, work.build_secrets[name])
    return files


async def refuse_links_outside(work: Work) -> None:
    """Raise BuildFailed if a symbolic link leads out of the repository: some builders follow it."""
    await asyncio.to_thread(_refuse_links_outside, work.checkout)


def _refuse_links_outside(root: Path) -> None:
    real_root = root.resolve()
    for folder, folders, files in os.walk(real_root):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                link = str(path.relative_to(real_root))
                raise BuildFailed(f"symbolic link {link!r} leads outside the repository")


_RESERVED = frozenset(words("PATH HOME SHELL TMPDIR IFS ENV BASH_ENV SSH_AUTH_SOCK"))
_RESERVED_PREFIXES = ("LD_", "DYLD_", "DOCKER_", "BUILDKIT_", "GIT_", "SSL_", "XDG_", "CNB_")


@dataclass(frozen=True, slots=True)
class Passed:
    """Variables in a build tool's form.

    Attributes:
        argv: arguments that name the variables.
        env: the environment that holds their values.
    """

    argv: list[str]
    env: dict[str, str]


async def by_name(
    work: Work, tool: str, option: str, variables: Mapping[str, str], *, form: str = "{name}"
) -> Passed:
    """Pass variables to a tool by name; the log says which are left out.

    Args:
        form: the value of the option.
    """
    passed = {
        name: value
        for name, value in variables.items()
        if not (name in _RESERVED or name.startswith(_RESERVED_PREFIXES))
    }
    if left_out := sorted(variables.keys() - passed.keys()):
        names = ", ".join(left_out)
        await work.runner.log.say(f"Left out, because {tool} itself would read them: {names}")
    argv = [part for name in passed for part in (option, form.format(name=name))]
    return Passed(argv, passed)


# ── Docker ──────────────────────────────────────────────────────────────────────────────────────

_TAG = "v-"
"""The beginning of the tags of kept images; the deployment's id follows."""


class Dockerfile:
    """Build with `docker build`."""

    async def build(self, work: Work) -> None:
        """Build and start; the old container is removed once the new one has started."""
        app = work.application
        await work.runner.require("docker")
        await write_env_file(work)
        dockerfile, context_path = app["dockerfile"] or "Dockerfile", app["dockerContextPath"]
        file = await asyncio.to_thread(inside, work.folder, dockerfile, what="Dockerfile")
        context = await asyncio.to_thread(inside, work.folder, context_path, what="context path")
        argv = ["docker", "build", "--file", str(file), "--tag", f"{work.name}:latest"]
        if stage := app["dockerBuildStage"]:
            if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", stage):
                raise BuildFailed(f"build stage {stage!r} is not the name of a stage")
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
        await serve_image(work, f"{work.name}:latest")


class Image:
    """Run an image of a registry; nothing is built."""

    async def build(self, work: Work) -> None:
        image = work.application["dockerImage"]
        if not image:
            raise BuildFailed("no Docker image is configured: save a Docker provider first")
        if not re.fullmatch(r"[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?", image, re.IGNORECASE):
            raise BuildFailed(f"{image[:200]!r} is not the name of an image")
        await work.runner.require("docker")
        await work.runner.log.say(f"Pulling {image}")
        env = await _login(work)
        await work.runner.run(Command(["docker", "pull", image], env=env))
        await serve_image(work, image)


async def serve_image(work: Work, image: str) -> None:
    """Serve an image that was built or pulled, and keep it under a tag of its own."""
    app = work.application
    tag = f"{work.name}:{_TAG}{work.deployment_id}"
    facts = Facts(image=tag, memory=app["memoryLimit"], cpus=app["cpuLimit"])
    releases, id_ = work.releases, work.deployment_id
    async with work.serving:
        await work.runner.run(Command(["docker", "tag", image, tag], quiet=True))
        await start_container(work, image)
        await asyncio.to_thread(releases.complete, id_, facts, work.env)
        await asyncio.to_thread(releases.serve, id_)
        old = await asyncio.to_thread(releases.superfluous)
        for one in old:
            work.remover.later(*releases.folders(one))
        await _remove_old_tags(work, old)


async def start_container(work: Work, image: str) -> None:
    """Start a container of the image, then remove the application's older ones."""
    run, label = work.runner.run, label_of(work.application["applicationId"])
    listed = Command(["docker", "ps", "--all", "--quiet", "--filter", f"label={label}"], quiet=True)
    old = (await run(listed)).split()
    env_file = work.scratch / "container.env"
    lines = [f"{key}={value}\n" for key, value in work.env.items() if "\n" not in value]
    await asyncio.to_thread(write_private, env_file, "".join(lines))
    argv = ["docker", "run", "--detach", "--restart", "unless-stopped"]
    # As Swarm names them: clients compare the part before the first dot with the application's.
    argv += ["--name", f"{work.name}.1.{secrets.token_hex(8)}"]
    argv += ["--label", label]
    argv += ["--env-file", str(env_file), *_resources(work)]
    argv += [part for port in await _ports(work, image) for part in ("-p", f"127.0.0.1::{port}")]
    several = {key: value for key, value in work.env.items() if "\n" in value}
    # An env file can only hold values of a single line.
    passed = await by_name(work, "docker", "--env", several)
    command = Command([*argv, *passed.argv, image], env=passed.env, quiet=True)
    new = (await run(command)).split()[-1:]
    await work.runner.log.say(f"Started container {new[0][:12] if new else ''}: ✅")
    if old:
        await run(Command(["docker", "rm", "--force", *old], quiet=True))
        await work.runner.log.say(f"Removed {len(old)} older containers")


async def _remove_old_tags(work: Work, old: Collection[str]) -> None:
    """Remove the tags of releases that are no longer kept; what fails now is left to the next."""
    argv = ["docker", "image", "ls", "--format", "{{.Tag}}", work.name]
    _, found = await work.runner.attempt(Command(argv, quiet=True))
    for tag in found.split():
        id_ = tag.removeprefix(_TAG)
        if id_ == tag:
            continue
        if id_ in old or await asyncio.to_thread(work.releases.facts, id_) is None:
            argv = ["docker", "image", "rm", f"{work.name}:{tag}"]
            await work.runner.attempt(Command(argv, quiet=True))


async def _ports(work: Work, image: str) -> list[str]:
    argv = ["docker", "image", "inspect", "--format", "{{json .Config.ExposedPorts}}", image]
    said = await work.runner.run(Command(argv, quiet=True))
    try:
        return sorted(json.loads(said) or {})
    except (ValueError, TypeError):
        return []


async def _login(work: Work) -> dict[str, str]:
    """Write a Docker configuration with the registry's login; return the variables that name it."""
    app = work.application
    if not app["username"] or not app["password"]:
        return {}
    login = base64.b64encode(f"{app['username']}:{app['password']}".encode()).decode()
    own = (app["registryUrl"] or "").removeprefix("https://").rstrip("/")
    config = {"auths": {own or "https://index.docker.io/v1/": {"auth": login}}}
    await asyncio.to_thread(write_private, work.scratch / "config.json", json.dumps(config))
    return {"DOCKER_CONFIG": str(work.scratch)}


def _resources(work: Work) -> list[str]:
    """Return the options for the application's limits, stored in bytes and billionths of a CPU."""
    argv = []
    if (memory := work.application["memoryLimit"]) and memory.isdigit():
        argv += ["--memory", memory]
    if (cpus := work.application["cpuLimit"]) and cpus.isdigit():
        argv += ["--cpus", f"{int(cpus) / 1e9:g}"]
    return argv


# ── Builders that detect how to build ───────────────────────────────────────────────────────────


class Nixpacks:
    """Build with `nixpacks build`."""

    async def build(self, work: Work) -> None:
        await _prepare(work, "nixpacks")
        argv = ["nixpacks", "build", str(work.folder), "--name", work.name]
        passed = await by_name(work, "nixpacks", "--env", _variables(work))
        await work.runner.run(Command([*argv, *passed.argv], cwd=work.folder, env=passed.env))
        await serve_image(work, f"{work.name}:latest")


class Railpack:
    """Build the plan of `railpack prepare` in Docker, with Railpack's frontend."""

    async def build(self, work: Work) -> None:
        """Build and start; variables are passed as secrets, so no layer contains them."""
        await _prepare(work, "railpack")
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
        await serve_image(work, f"{work.name}:latest")


@dataclass(frozen=True, slots=True)
class Buildpacks:
    """Build with `pack build` and a builder image.

    Attributes:
        version_field: the application's field with the builder's version, if any.
    """

    builder: str
    version_field: str | None
    default_version: str

    async def build(self, work: Work) -> None:
        await _prepare(work, "pack")
        chosen = work.application[self.version_field] if self.version_field else None
        image = f"{self.builder}:{chosen or self.default_version}"
        passed = await by_name(work, "pack", "--env", _variables(work))
        argv = ["pack", "build", work.name, "--path", str(work.folder), "--builder", image]
        await work.runner.run(Command([*argv, *passed.argv], cwd=work.folder, env=passed.env))
        await serve_image(work, f"{work.name}:latest")


def _variables(work: Work) -> dict[str, str]:
    return {**work.env, **work.build_args, **work.build_secrets}


async def _prepare(work: Work, tool: str) -> None:
    await work.runner.require(tool)
    await work.runner.require("docker")
    await refuse_links_outside(work)
    await write_env_file(work)
    await work.runner.log.say(f"Building {work.name} with {work.application['buildType']}")
