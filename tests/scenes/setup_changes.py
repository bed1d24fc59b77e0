"""Scenes of the commands that set services up: each has data and services of its own.

They are recorded with the others; see `tests.scenes.terminal`.
"""

import asyncio
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from unittest.mock import patch

from tests.fakes.github import FakeGithub
from tests.fakes.host import FakeHook, FakeSending
from tests.scenes.dokploy import KEY, KINDS, adoptable
from tests.scenes.hostile import LONG

PUBLIC = "https://bridge.example.com"
NAMES = ("my-org/mono", "my-org/site", f"my-org/{LONG}")
ADOPTED = ("shop/web", "worker-that", "app_odd", "shop/db")
LINK = re.compile(r"(?<=link=)[\w-]{43}")

SETTING_UP: Mapping[str, tuple[str, ...]] = {
    "adopt": ("adopt", *ADOPTED, "--yes"),
    "adopt-asks": ("adopt", *ADOPTED),
    "adopt-none": ("adopt", *ADOPTED, "--yes"),
    "adopt-undo": ("adopt", "--all", "--undo", "--yes"),
    "hooks-install": ("hooks", "install", *NAMES, "--yes"),
    "hooks-install-again": ("hooks", "install", *NAMES, "--yes"),
    "hooks-install-asks": ("hooks", "install", *NAMES),
    "hooks-list": ("hooks", "list", *NAMES, "my-org/none"),
    "hooks-list-made": ("hooks", "list", *NAMES),
    "hooks-rotate": ("hooks", "rotate", "--all", "--yes"),
    "hooks-rotate-none": ("hooks", "rotate", "--all", "--yes"),
    "setup": ("setup",),
}

BEFORE: Mapping[str, tuple[str, ...]] = {
    "adopt-none": SETTING_UP["adopt"],
    "adopt-undo": SETTING_UP["adopt"],
    "hooks-install-again": SETTING_UP["hooks-install"],
    "hooks-list-made": SETTING_UP["hooks-install"],
    "hooks-rotate": SETTING_UP["hooks-install"],
}
"""What a person has done before a scene."""


class Unheard(FakeGithub):
    """A GitHub whose webhooks are accepted elsewhere."""

    async def _deliver(self, _hook: FakeHook, sending: FakeSending) -> None:
        sending.status = 202


@contextmanager
def services(data: Path) -> Iterator[dict[str, str]]:
    """Serve a Dokploy and a GitHub; yields the settings that lead there, and to a copy of data."""
    with (
        TemporaryDirectory() as folder,
        adoptable(on=set(KINDS)) as (dokploy, _),
        _github(dokploy) as github,
        patch("bridge.pipeline.deploying.hosting.ARRIVES", 0.0),
    ):
        own = Path(folder, "data")
        shutil.copytree(data, own)
        yield {
            "BRIDGE_DATA": str(own),
            "BRIDGE_DOKPLOY_URL": dokploy,
            "BRIDGE_DOKPLOY_API_KEY": KEY,
            "BRIDGE_PUBLIC_URL": PUBLIC,
            "BRIDGE_GITLAB_WEBHOOK_TOKENS": "a-token-of-the-scenes-0123456789",
            "BRIDGE_GITEA_WEBHOOK_SECRETS": "a-secret-of-the-scenes-0123456789",
            "BRIDGE_GITEA_URL": "https://git.example.com",
            **github,
        }


def steady(seen: str) -> str:
    """Return what is shown, with what is random made fixed."""
    return LINK.sub("x" * 43, seen)


@contextmanager
def _github(dokploy: str) -> Iterator[Mapping[str, str]]:
    """Serve it in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    fake = asyncio.run_coroutine_threadsafe(_started(dokploy), loop).result()
    try:
        yield fake.settings
    finally:
        asyncio.run_coroutine_threadsafe(fake.__aexit__(None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _started(dokploy: str) -> Unheard:
    fake = await Unheard().__aenter__()
    mono, *_ = (fake.repository(name, id=4711 + at) for at, name in enumerate(NAMES))
    fake.hook(mono, f"{PUBLIC}/webhook", "by hand")
    fake.hook(mono, f"{dokploy}/api/deploy/Zk1u8RwLq0AaZk1u8RwLq", "")
    return fake
