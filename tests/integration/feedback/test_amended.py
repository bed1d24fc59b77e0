"""What was said of a version is amended: at rest nothing says "is live" of what is not."""

import re

import pytest

from bridge.core.health.fate import Fate
from bridge.core.lifecycle import State
from bridge.ports.githosts import CommitState
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import ManualClock, deployment
from tests.worlds.amended import CLAIM, DOUBT, NOW, World

DATED = ("slack thread", "discord message", "status")
"""Places that are written once: they say what was so then."""


@pytest.fixture
def world(clock: ManualClock, journal: SqlJournal) -> World:
    return World(clock, journal)


NAMED = re.compile(r"""(?:\blive |<h2 id="live">Live</h2>.*\n<dt>Version</dt><dd>)<code>(\w+)""")
"""What the console's pages of apps call live."""


async def differences(world: World) -> list[str]:
    """Return each place that says what is not so, or does not say what is."""
    told, fates = await world.places(), await world.fates()
    found = [
        f"{where} claims what may change: {words}"
        for where, words in told.items()
        if where.startswith(DATED) and NOW.search(words)
    ]
    for one in world.brought:
        is_live, fate = one.deployed_commit == world.live, fates[one.id]
        if fate.live and not is_live:
            found.append(f"deployments: #{one.seq} is not live: {fate}")
        cards = world.card_in_slack(one), world.card_of(one)
        found += [wrong for card in cards for wrong in untrue(card, fate, is_live=is_live)]
        page = (await world.page(one)).partition("<dt>Live</dt>")[2].partition("</dd>")[0]
        if ("since" in page) is not fate.live or fate.says not in page:
            found.append(f"the console says of #{one.seq}, {fate}: {page}")
        comment = told.get(f"comment {one.seq}", "")
        if CLAIM.search(comment) and not is_live:
            found.append(f"a comment on #{one.seq}: {comment}")
    live = set() if world.live in (DOUBT, "") else {world.live[:7]}
    for page in (await world.apps_page(), await world.app_page()):
        if (named := set(NAMED.findall(page))) != live:
            found.append(f"the console names {named} as live, and {live} is")
    newest = world.brought[-1]
    if newest.deployed_commit == world.live and not fates[newest.id].live:
        found.append(f"it is not said that #{newest.seq} is live")
    if world.live not in (DOUBT, "") and (wrong := world.active() - {world.live}):
        found.append(f"the host calls {wrong} active, and {world.live} is live")
    return found


def untrue(card: str, fate: Fate, *, is_live: bool) -> list[str]:
    """Return what a card says that is not so, or does not say."""
    if fate.live and " is live" not in card:
        return [f"not said to be live: {card}"]
    if CLAIM.search(card) and not is_live:
        return [f"said to be live: {card}"]
    return [] if fate.live or fate.says[1:] in card else [f"not said why it is not: {card}"]


STORIES = [
    "push broken push",
    "push breaks push rollback",
    "push push promote rollback",
    "push push rollback rollback push",
    "push by_hand push",
    "push breaks by_hand",
    "push in_doubt by_hand",
    "push push rollback in_doubt push",
    "push push rollback unlock again push",
    "push push push far_back push",
    "push stays push",
    "push push push put_back push",
    "push push push push push far_put_back push",
    "push push push push push old_by_hand promote",
    "push waits again by_hand",
    "push renamed push",
    "push moved push",
    "push verifying",
    "push broken deleted",
    "push push rollback deleted returns push",
    "push stop push",
    "push broken stop start",
    "push push put_back stop start",
]


async def happens(world: World, story: str) -> None:
    """Let one event follow the other, each told everywhere before the next."""
    for event in story.split():
        await getattr(world, event)()
        await world.rest()


CHECKED: set[tuple[str, ...]] = set()
"""How stories began: what several have in common is looked at once."""


@pytest.mark.parametrize("story", STORIES)
async def test_no_place_says_is_live_of_what_is_not(world: World, story: str) -> None:
    told: list[str] = []
    for event in story.split():
        await happens(world, event)
        told.append(event)
        if tuple(told) not in CHECKED:
            assert await differences(world) == [], f"after {event} of: {story}"
            CHECKED.add(tuple(told))


BACK = "rolled back to 1111111"
TOLD = [
    ("push push again rollback", 2, f"{BACK} by #4", "failure"),
    ("push push redeploy rollback", 2, f"{BACK} by #4", "failure"),
    ("push push rollback unlock again", 2, "✅ deployed |", "success"),
    ("push breaks unlock again", 2, "✅ deployed by #4 |", "success: deployed 2222222 by #4"),
    ("push push push far_back", 2, f"{BACK} by #4", "failure"),
    ("push waits push", 2, "✅ deployed by #3 |", "success"),
    ("push waits waits push rollback", 2, f"{BACK} by #5", "failure"),
    ("push push rollback waits again", 4, "✅ deployed by #5 |", "success: deployed 4444444 by #5"),
    ("push push rollback waits again rollback", 4, "rolled back to 2222222 by #6", "failure"),
    ("push push put_back", 2, f"{BACK} in Dokploy, not by the bridge", "failure"),
    ("push stays", 2, "not served: the image of 1111111 still runs", "failure"),
]
"""Stories, and what they end with for a pull request: in its comment, and as its head's status."""


@pytest.mark.parametrize(("story", "number", "comment", "status"), TOLD)
async def test_a_pull_request_is_told_what_became_of_its_version(
    world: World, story: str, number: int, comment: str, status: str
) -> None:
    await happens(world, story)

    assert await differences(world) == []
    told = await world.places()
    assert comment in told[f"comment {number}"].replace("`", "").replace(" · 🔒 locked by Ada", "")
    assert told[f"status {f'{number}' * 7}"].startswith(status)
    assert world.active() == {world.live}


@pytest.mark.parametrize(
    ("story", "offered"),
    [
        ("push push fails", {3}),
        ("push push rollback", set()),
        ("push push redeploy", {3}),
        ("push push put_back", set()),
        ("push waits", {1}),
        ("push stop start", {1}),
    ],
)
async def test_a_card_offers_redeploy_only_where_that_builds_what_it_shows(
    world: World, story: str, offered: set[int]
) -> None:
    """It builds what is checked out: what the backend was asked for last."""
    await happens(world, story)

    shown = {seq: world.card_in_slack(deployment(seq)) for seq in range(1, next(world.seqs))}
    assert {seq for seq, card in shown.items() if "deployment.redeploy" in card} == offered


async def test_what_is_live_again_gets_an_object_of_its_own_where_the_newest_success_counts(
    world: World,
) -> None:
    world.api.reactivates = False
    await happens(world, "push push rollback unlock again redeploy")

    made = [(str(commit)[:1], state) for commit, _, _, state in world.api.deployments.values()]
    assert made == [
        ("1", CommitState.SUCCESS),
        ("2", "replaced"),
        ("1", "replaced"),
        ("2", CommitState.SUCCESS),
    ]


async def test_a_thread_tells_each_rollback_and_each_way_back_from_it(world: World) -> None:
    await happens(world, "push push")
    good, bad = world.brought
    for to in (good, bad, good):
        await world.back_to(to)
        await world.rest()

    thread = [words for words in world.thread_of(bad) if "back to" in words]
    says = ["Rolled back to 1111111 by #3", "Live again: #4 went back to it"]
    assert [words.partition(": ")[2] for words in thread] == [
        *says, "Rolled back to 1111111 by #5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("story", "needed"),
    [
        ("push breaks", "Unlock</button>"),
        ("push breaks unlock again", ""),
        ("push broken", "commit 2222222 is live, but GET"),
        ("push broken by_hand", ""),
        ("push broken fails", "commit 2222222 is live, but GET"),
        ("push stays", ""),
        ("push in_doubt", "accepted, outcome unknown: it was lost"),
        ("push in_doubt by_hand", ""),
    ],
)
async def test_what_needs_somebody_is_what_is_served(world: World, story: str, needed: str) -> None:
    for event in story.split():
        await getattr(world, event)()

    page = await world.first_page()
    assert needed in page if needed else "Nothing needs attention." in page


@pytest.mark.parametrize("end", [State.CANCELLED, State.FAILED, State.SUPERSEDED])
async def test_a_way_back_that_was_given_up_is_not_announced_any_more(
    world: World, end: State
) -> None:
    await world.push()
    bad = await world.broken()
    await world.rest()
    assert "goes back to 1234567 by itself" in world.card_of(bad)
    await world.gives_up(bad, end)
    await world.rest()

    told = await world.places()
    places = [world.card_of(bad), world.card_in_slack(bad), told["comment 2"]]
    places += [await world.page(bad), await world.first_page()]
    assert [words for words in places if "by itself" in words] == []
    ended = {State.FAILED: "failed"}.get(end, f"was {end}")
    assert f"#3, which was to go back, {ended}" in world.card_of(bad)


async def test_a_rollback_and_its_lock_are_told_wherever_the_version_was_told(world: World) -> None:
    good = await world.push()
    await world.rest()
    back = await world.breaks()
    await world.rest()
    bad = world.brought[-2]
    says = f"olled back to {good.commit[:7]} by #{back.seq}"  # type: ignore[index]

    told = await world.places()
    assert f"{says} · 🔒 locked by the bridge" in told[f"comment {bad.seq}"].replace("`", "")
    assert told[f"status {bad.commit[:7]}"] == f"failure: unhealthy, r{says}"  # type: ignore[index]
    assert f"{says}  ·  :lock: Locked by the bridge" in world.card_in_slack(bad)
    assert "gate.unlock" in world.card_in_slack(bad)
    assert f"{says} · 🔒 Locked by the bridge" in world.card_of(bad)
    assert any(says in words for where, words in told.items() if "slack thread" in where)
    assert f"r{says}" in await world.page(bad)

    way = f"Rolled back from {bad.commit[:7]} to {good.commit[:7]}"  # type: ignore[index]
    assert f"{way}  ·  :lock: Locked by the bridge" in world.card_in_slack(back)
    assert f"{way} · 🔒 Locked by the bridge" in world.card_of(back)
    assert f"#{back.seq} went back to it" in world.card_of(good)

    await world.unlock()
    await world.rest()
    for one in (back, bad):
        assert "ocked by" not in world.card_in_slack(one) + world.card_of(one)
        assert "gate.unlock" not in world.card_in_slack(one)
    assert "ocked by" not in (await world.places())[f"comment {bad.seq}"]


async def test_a_newer_push_costs_the_version_before_one_edit_of_each_card(world: World) -> None:
    await world.push()
    await world.rest()
    threads = len(world.slack.messages)
    world.api.calls.clear()

    await world.push(State.DONE)
    await world.rest()

    assert len(world.slack.messages) == threads + 2  # the new card and its thread
    own = {"2" * 40, "2"}  # its status, and its deployment object
    assert [call for call in world.api.calls if call[0] in WRITES and not own & {*call}] == []


WRITES = ("set_status", "edit_comment", "end_deployment", "set_deployment")
