"""Builders that find out by themselves how to build: Nixpacks, Railpack, Buildpacks."""

from dataclasses import dataclass

from bridge.backends.embedded.building.builders.docker import start_container
from bridge.backends.embedded.building.builders.passing import by_name
from bridge.backends.embedded.building.builders.work import (
    Work,
    refuse_links_outside,
    write_env_file,
    write_secrets,
)
from bridge.backends.embedded.building.process import Command


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
