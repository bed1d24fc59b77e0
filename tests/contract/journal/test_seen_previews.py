"""The `Journal` port: a change of a preview is seen, and its name completed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.storage.labels import LABELS, PREVIEWS, labels_of_file, labels_of_postgres
from tests.fakes.journey import app
from tests.worlds.previewed import skipped, up

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
