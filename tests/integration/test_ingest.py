"""A webhook is kept once, also where its sender gives it no id."""

from pathlib import Path

from bridge.githosts.gitlab.webhooks import GitLab
from bridge.pipeline.deciding.ingest import NAMELESS_WINDOW, Ingest
from bridge.storage.inbox.sqlite import SqliteInbox
from tests.fakes.journey import ManualClock
from tests.worlds.bridge import TOKEN

OF_AN_OLD_GITLAB = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": TOKEN}


async def test_equal_bodies_without_an_id_are_one_delivery_only_for_some_minutes(
    tmp_path: Path, clock: ManualClock
) -> None:
    """A branch that is pushed back and forth sends the same body again."""
    clock.now = 1000 * NAMELESS_WINDOW
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    await inbox.start()
    ingest = Ingest({"gitlab": GitLab([TOKEN])}, inbox, clock)

    async def sent(body: bytes) -> bool:
        envelope = ingest.open("gitlab", OF_AN_OLD_GITLAB)
        return (await ingest.take("gitlab", envelope, body)).duplicate

    try:
        assert not await sent(b"forth")
        assert await sent(b"forth")
        assert not await sent(b"back")
        clock.now += NAMELESS_WINDOW
        assert not await sent(b"forth")
    finally:
        await inbox.stop()
