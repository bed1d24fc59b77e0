"""What a push costs does not grow with those before it that it repeats or supersedes."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.core.lifecycle import State
from bridge.ports.outcomes import Subscription, about_deployment
from tests.fakes.journey import NO_GATES, ManualClock, deployment
from tests.worlds.journal import A, B, due, ids, outcome, push, pushed, record


@pytest.fixture
def asked() -> Iterator[Counter[str]]:
    counter: Counter[str] = Counter()

    def ask(_db: Any, _cursor: Any, statement: str, *_: Any) -> None:
        counter["statements"] += 1

    sa.event.listen(sa.Engine, "before_cursor_execute", ask)
    yield counter
    sa.event.remove(sa.Engine, "before_cursor_execute", ask)


async def statements(asked: Counter[str], act: Callable[[], Any]) -> int:
    before = asked.total()
    await act()
    return asked.total() - before


async def test_one_more_repeat_of_a_push_costs_no_more_after_hundreds(
    journal: Any, asked: Counter[str]
) -> None:
    async def repeat(seq: int) -> int:
        return await statements(asked, lambda: push(journal, seq, A, B))

    await push(journal, 1, A, B)
    costs = [await repeat(seq) for seq in range(2, 330)]

    assert costs[-1] <= costs[205], "205 is more than a window of moves has"


async def test_one_more_push_costs_no_more_after_many_that_it_supersedes(
    journal: Any, clock: ManualClock, asked: Counter[str]
) -> None:
    """Each supersedes the one before; what shows those changes only when the last has ended."""
    first = about_deployment(deployment(1).id)
    card = Subscription("card 1", "card", "slack", (first,), {})

    async def one_more(seq: int) -> int:
        async def wish() -> None:
            of_first = (card,) if seq == 1 else ()
            move = pushed(f"{seq - 1:040x}", f"{seq:040x}")
            new = deployment(seq)
            await record(journal, outcome(seq, new, push=move, subscriptions=of_first))

        return await statements(asked, wish)

    costs = [await one_more(seq) for seq in range(1, 61)]
    (waiting,) = await due(journal, clock)
    await journal.mark_published("card 1", waiting.wanted)

    assert costs[-1] <= costs[9]
    assert await ids(journal, clock) == []
    last = deployment(60).id
    assert await journal.intend(last, [], NO_GATES) is not None
    await journal.move(last, State.ASKED)
    assert await ids(journal, clock) == []
    await journal.move(last, State.DONE)
    assert await ids(journal, clock) == ["card 1"]
