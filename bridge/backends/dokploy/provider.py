"""Dokploy's record: what the rest of the bridge needs to know of it."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bridge.ports.checks import Checked, Finding
from bridge.ports.providers import BackendParts, BackendProvider

if TYPE_CHECKING:
    from bridge.backends.dokploy.client import Dokploy
    from bridge.backends.dokploy.settings import DokploySettings
    from bridge.ports.setup import Setup


def _settings() -> "type[DokploySettings]":
    from bridge.backends.dokploy.settings import DokploySettings

    return DokploySettings


def _open(name: str, settings: "DokploySettings", parts: BackendParts) -> "Dokploy":
    from bridge.backends.dokploy.client import Dokploy

    given = settings.model_dump(exclude={"api_key", "allow_kill_build"})
    return Dokploy(
        **given, api_key=settings.api_key or "", name=name, observe=parts.observe, clock=parts.clock
    )


def _checks(checked: Checked) -> AsyncIterator[Finding]:
    from bridge.backends.dokploy.checks import checks

    return checks(checked)


def _setup() -> "Setup":
    from bridge.backends.dokploy.settings import setup_with

    return setup_with(_open)


DOKPLOY = BackendProvider(
    key="dokploy",
    title="Dokploy",
    settings=_settings,
    example="https://dokploy.example.com",
    keys_at="Settings, Profile, API/CLI Keys",
    further="backends",
    open=_open,
    own_webhook=lambda path: "/api/deploy/" in path,
    makes_apps=True,
    may_kill_builds=lambda settings: bool(settings.allow_kill_build),
    checks=_checks,
    setup=_setup,
)
