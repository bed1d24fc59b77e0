"""Builders that find out by themselves how to build: Nixpacks, Railpack, Buildpacks.

Values travel in the environment, where other users of the machine can't read them; only a
name that would change how the tool itself runs goes on the command line.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.backends.embedded.building.builders.docker import start_container
from bridge.backends.embedded.building.builders.work import (
    Work,
    refuse_links_outside,
    write_env_file,
    write_secrets,
)
from bridge.backends.embedded.building.process import Command
from bridge.backends.embedded.words import words

_RESERVED = frozenset(
    words("PATH HOME SHELL TMPDIR IFS ENV BASH_ENV HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY")
)
_RESERVED_PREFIXES = ("LD_", "DYLD_", "DOCKER_", "BUILDKIT_", "GIT_", "SSL_", "XDG_", "CNB_")


class Nixpacks:
    """`nixpacks build`; it makes the image by itself."""

    async def build(self, work: Work) -> None:
        """Build and start."""
        await work.runner.require("nixpacks")
        await work.runner.require("docker")
        await _prepare(work)
        argv = ["nixpacks", "build", str(work.folder), "--name", work.name]
        named, env = passed_by_name("--env", _variables(work))
        await work.runner.run(Command([*argv, *named], cwd=work.folder, env=env))
        await start_container(work, f"{work.name}:latest")


class Railpack:
    """`railpack prepare` writes a plan, which Docker builds with Railpack's own frontend."""

    async def build(self, work: Work) -> None:
        """Build and start; variables reach the build as secrets, so no layer holds them."""
        await work.runner.require("railpack")
        await work.runner.require("docker")
        await _prepare(work)
        plan = work.scratch / "railpack-plan.json"
        named, env = passed_by_name("--env", _variables(work))
        argv = ["railpack", "prepare", str(work.folder), "--plan-out", str(plan), *named]
        await work.runner.run(Command(argv, cwd=work.folder, env=env))
        version = (work.application["railpackVersion"] or "").lstrip("v")
        frontend = "ghcr.io/railwayapp/railpack-frontend" + (f":v{version}" if version else "")
        argv = ["docker", "buildx", "build", "--build-arg", f"BUILDKIT_SYNTAX={frontend}"]
        argv += ["--file", str(plan), "--output", f"type=docker,name={work.name}:latest"]
        for name, path in (await write_secrets(work)).items():
            argv += ["--secret", f"id={name},src={path}"]
        plain = {**work.env, **work.build_args}
        kept, env = passed_by_name("--secret", plain, form="id={name},env={name}")
        await work.runner.run(Command([*argv, *kept, str(work.folder)], cwd=work.folder, env=env))
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
        named, env = passed_by_name("--env", _variables(work))
        argv = ["pack", "build", work.name, "--path", str(work.folder), "--builder", image]
        await work.runner.run(Command([*argv, *named], cwd=work.folder, env=env))
        await start_container(work, f"{work.name}:latest")


def passed_by_name(
    option: str, variables: Mapping[str, str], *, form: str = "{name}"
) -> tuple[list[str], dict[str, str]]:
    """Arguments that name variables, and the environment that holds their values."""
    argv: list[str] = []
    env: dict[str, str] = {}
    for name, value in variables.items():
        if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
            if form == "{name}":
                argv += [option, f"{name}={value}"]
            continue
        argv += [option, form.format(name=name)]
        env[name] = value
    return argv, env


def _variables(work: Work) -> dict[str, str]:
    return {**work.env, **work.build_args, **work.build_secrets}


async def _prepare(work: Work) -> None:
    await refuse_links_outside(work)
    await write_env_file(work)
    await work.runner.log.say(f"Building {work.name} with {work.application['buildType']}")
