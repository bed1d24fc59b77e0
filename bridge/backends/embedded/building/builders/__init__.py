"""The ways to build an application; a new one is one file and one line here."""

from bridge.backends.embedded.building.builders.docker import Dockerfile, Image
from bridge.backends.embedded.building.builders.packs import Buildpacks, Nixpacks, Railpack
from bridge.backends.embedded.building.builders.site import StaticSite
from bridge.backends.embedded.building.builders.work import Builder, Work

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
