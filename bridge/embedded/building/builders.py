"""The ways to build an application; a new one is one file and one line here."""

from bridge.embedded.building.docker import Buildpacks, Dockerfile, Image, Nixpacks, Railpack
from bridge.embedded.building.site import StaticSite
from bridge.embedded.building.work import Builder, Work

BUILDERS: dict[str, Builder] = {
    "static": StaticSite(),
    "dockerfile": Dockerfile(),
    "nixpacks": Nixpacks(),
    "railpack": Railpack(),
    "heroku_buildpacks": Buildpacks("heroku/builder", "herokuVersion", "24"),
    "paketo_buildpacks": Buildpacks("paketobuildpacks/builder-jammy-full", None, "latest"),
}
"""By the application's `buildType`."""

IMAGE: Builder = Image()
"""For applications whose source is an image: there is nothing to build."""

__all__ = ["BUILDERS", "IMAGE", "Builder", "Work"]
