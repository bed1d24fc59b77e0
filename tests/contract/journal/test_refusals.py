"""Refused webhooks in the journal, and what deliveries were about; on SQLite and on Postgres."""

import sys
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.lifecycle import State
from bridge.core.refused import RefusedWebhooks
from bridge.ports.outcomes import About, PushSeen, Sought
from bridge.storage.journal import decisions, searching
from tests.fakes.journey import ManualClock, deployment
from tests.worlds.journal import A, B, outcome, record

ONE = RefusedWebhooks(
    minute=1_700_000_000.0 // 60 * 60,
    host="github",
    reason="unauthorized",
    path="/hooks/github",
    network="192.0.2.0/24",
    repository="4711",
    why="wrong",
    count=2,
    last=1_700_000_000.0,
)


async def test_counts_of_one_minute_add_up_and_the_newest_come_first(journal: Any) -> None:
    later = replace(ONE, count=3, last=ONE.last + 5, why="still wrong")
    other = replace(ONE, path="/webhook", reason="wrong_path", last=ONE.last + 30)
    await journal.keep_refused([ONE, other])
    await journal.keep_refused([later])

    both = replace(later, count=5)
    assert await journal.refused(limit=10) == [other, both]
    assert await journal.refused(limit=1) == [other]
    assert await journal.refused(limit=10, since=later.last + 1) == [other]


async def test_what_is_old_or_too_much_is_forgotten(
    journal: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "MOST_REFUSED", 5)
    await journal.keep_refused([ONE])
    clock.now += 31 * 86_400
    many = [replace(ONE, minute=float(60 * number), last=clock.now + number) for number in range(8)]
    await journal.keep_refused(many)

    assert await journal.refused(limit=100) == many[:2:-1]


async def test_what_pushes_were_about_is_found_by_repository_app_and_failure(journal: Any) -> None:
    def of(number: int, name: str) -> PushSeen:
        key = f"github {number} refs/heads/main"
        return PushSeen(key, A, B, repository=name, author="Ada", message=f"feat: {number}")

    await record(journal, outcome(1, deployment(1), push=of(1, "my-org/mono")))
    await record(journal, outcome(2, push=of(12, "my-org/other")))
    await record(journal, outcome(3, deployment(3, "app-api"), push=of(12, "my-org/renamed")))
    for id_ in (deployment(1).id,):
        await journal.move(id_, State.FAILED, "no")

    assert await journal.abouts([1, 2, 9]) == {
        1: About("my-org/mono", "refs/heads/main", B, "Ada", "feat: 1"),
        2: About("my-org/renamed", "refs/heads/main", B, "Ada", "feat: 12"),
    }
    (of_api,) = await journal.explained("app-api", limit=5)
    assert (of_api.message, of_api.author) == ("feat: 12", "Ada")
    assert await journal.repositories() == {
        "github 1": "my-org/mono",
        "github 12": "my-org/renamed",
    }

    async def seqs(before: int = sys.maxsize, limit: int = 10, **wanted: Any) -> list[int]:
        return list(await journal.seqs_about(Sought(**wanted), before=before, limit=limit))

    assert await seqs(repositories=("github 1",)) == [1]
    assert await seqs(repositories=("github 1", "github 12")) == [3, 2, 1]
    assert await seqs(repositories=("github 1", "github 12"), before=3, limit=1) == [2]
    assert await seqs(app_id="app-web") == [2, 1]
    assert await seqs(app_id="app-web", failed=True) == [1]
    assert await seqs(failed=True) == [1]
    assert await seqs(state=State.FAILED) == [1]
    assert await seqs(state=State.WAITING) == [3]
    assert await seqs(state=State.DONE) == []
    assert await seqs(failed=True, repositories=("github 12",)) == []
    assert [one.seq for one in (await journal.deployments_of([1, 2]))[1]] == [1]


async def test_pushes_are_found_by_branch_tag_commit_and_author(journal: Any) -> None:
    def of(ref: str, after: str, author: str) -> PushSeen:
        return PushSeen(f"github 1 {ref}", A, after, repository="my-org/mono", author=author)

    await record(journal, outcome(1, push=of("refs/heads/main", "ab12" + "0" * 36, "Ada")))
    await record(journal, outcome(2, push=of("refs/heads/feat/main", "ab13" + "0" * 36, "Ada")))
    await record(journal, outcome(3, push=of("refs/tags/main", "cd12" + "0" * 36, "Grace")))
    await record(journal, outcome(4, push=of("refs/heads/main", "ab1f" + "0" * 36, "Ada L.")))

    async def seqs(**wanted: Any) -> list[int]:
        return list(await journal.seqs_about(Sought(**wanted), before=sys.maxsize, limit=10))

    assert await seqs(ref="main") == [4, 3, 1]
    assert await seqs(ref="refs/heads/main") == [4, 1]
    assert await seqs(ref="feat/main") == [2]
    assert await seqs(commit="ab1") == [4, 2, 1]
    assert await seqs(commit="ab12" + "0" * 36) == [1]
    assert await seqs(commit="ab1f") == [4]
    assert await seqs(commit="f") == []
    assert await seqs(author="Ada") == [2, 1]
    assert await seqs(author="Ada", ref="main", commit="a") == [1]
    assert await seqs(author="Ada", app_id="app-web", repositories=("github 1",)) == [2, 1]
    assert await seqs(author="Ada", app_id="app-api") == []


async def test_words_are_found_in_the_newest_rows_in_either_case(
    journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "WINDOW", 2)
    for seq, message in enumerate(("Überall: 50%", "über_all", "else"), 1):
        push = PushSeen("github 1 refs/heads/Main", A, B, author="Ada", repository="acme/shop")
        one = deployment(seq, message=message, commit=None)
        await record(journal, outcome(seq, one, push=push, explicit=True))
    new, old = sys.maxsize, 2
    expected = {
        ("über", new): [2], ("über", old): [1], ("R_A", new): [2], ("50%", old): [1],
        ("0%d", old): [],
    }  # fmt: skip

    for (word, before), seqs in expected.items():
        found = await journal.words([word], before=before)
        assert [int(id_.split(".")[0]) for id_, _ in found.deployments] == seqs, word
        assert found.first == (2 if before == new else 0)
    assert (await journal.words(["aDa", "main"], before=new)).pushes == [3, 2]
    assert (await journal.deployments_with([deployment(1).id, "none"])).keys() == {deployment(1).id}
