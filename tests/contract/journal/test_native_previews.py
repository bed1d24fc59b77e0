"""The `Journal` port: previews that backends make by themselves, and names for the shell."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.previews.native import NativeState
from bridge.storage.labels import LABELS, PREVIEWS, labels_of_file, labels_of_postgres
from tests.fakes.journey import app
from tests.worlds.journal import Opened
from tests.worlds.previewed import native, skipped, up

WEB, API = app("app-web"), app("app-api")


async def test_they_are_kept_and_replaced_by_app(reopened: Opened) -> None:
    journal = await reopened()
    first, second = native(WEB, 12), replace(native(WEB, 13), active_at=1_800_000_000.0)
    bare = native(API, 12, commit=None, url=None, page=None, state=NativeState.WAITING)
    await journal.save_native_previews(WEB.id, [first, second])
    await journal.save_native_previews(API.id, [bare])

    journal = await reopened()
    assert await journal.native_previews() == [second, bare, first]
    assert await journal.native_previews(API.id) == [bare]

    await journal.save_native_previews(WEB.id, [second])
    await journal.save_native_previews(API.id, [])
    assert await journal.native_previews() == [second]


async def test_a_change_of_one_changes_the_version(journal: Any) -> None:
    versions = [await journal.version()]
    one = native(WEB, 12, state=NativeState.BUILDING)
    for those in ([one], [replace(one, state=NativeState.UP)], [replace(one, active_at=9.0)], []):
        await journal.save_native_previews(WEB.id, those)
        versions.append(await journal.version())

    assert versions[-1] == versions[0]
    assert len({*versions}) == len(versions) - 1


# ── their names for the shell ─────────────────────────────────────────────────


WEB = app("app-web")


async def test_names_for_the_shell_are_read(
    journal: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    preview = app("app-web-pr-12", name="web pr-12", marker="bridge:x#12:app-web")
    await journal.save_apps("dokploy", [WEB, preview])
    await up(journal, WEB, 12)
    await skipped(journal, WEB, 13)

    def read(query: str) -> list[str]:
        if "postgres" in request.fixturenames:
            return labels_of_postgres(request.getfixturevalue("postgres"), query)
        return labels_of_file(tmp_path / "journal.sqlite", query)

    labels, names = [await asyncio.to_thread(read, query) for query in (LABELS, PREVIEWS)]
    assert (labels, names) == (["shop/web"], ["shop/web#12"])
