"""A push that waits for somebody's approval: GitHub's webhook, its API, and clicks in Slack."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.worlds.office import BOB, Office, office_in


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with office_in(tmp_path, {"grace": ["slack:U0GRACE", "github:grace"]}) as made:
        yield made


async def test_somebody_who_has_neither_written_nor_pushed_it_approves(office: Office) -> None:
    commit = await office.push("second", pusher="bob")

    assert "is your own commit" in await office.approve("U0ADA")
    assert "is your own commit" in await office.approve("U0BOB")
    await office.held("has 0")
    assert f"/commit/{commit}|`{commit[:7]}`>" in await office.approve("U0GRACE")

    await office.both.card_says("is live")
    (done,) = await office.both.world.deployments()
    assert done.deployed_commit == commit


async def test_whoever_asked_does_not_approve_under_another_name(tmp_path: Path) -> None:
    async with office_in(tmp_path, {}) as office:
        await office.begin()
        office.commit("second", BOB)  # its webhook never comes
        await office.deploy_in_console("ada", 101)
        await office.held("has 0")

        assert "asked for" in await office.approve_in_console("ada", 101)
        assert "asked for" in await office.approve_in_console("ada-renamed", 101)
        assert "You approved" in await office.approve_in_console("grace", 103)


# ── one person is one person ─────────────────────────────────────────────────


async def test_one_person_at_two_doors_is_one_and_whoever_is_not_recognised_is_none(
    tmp_path: Path,
) -> None:
    grace = {"grace": ["slack:U0GRACE", "github:grace"]}
    async with office_in(tmp_path, grace, approvals=2) as office:
        commit = await office.push("second", pusher="ada")

        told = await office.approve("U0BOB")
        assert "slack:U0BOB is not recognised, since no account on github" in told
        assert "[slack:U0BOB, github:LOGIN]" in told
        assert f"/commit/{commit}|`{commit[:7]}`>" in await office.approve("U0GRACE")
        await office.held("has 1")
        assert "You had approved" in await office.approve_in_console("grace", 103)
        await office.held("has 1")
        assert "You approved" in await office.approve_in_console("eve", 104)

        await office.is_live(commit)


async def test_no_author_approves_by_a_private_address_or_beneath_an_empty_commit(
    tmp_path: Path,
) -> None:
    private = ("Ada", "101+ada@users.noreply.github.com")
    async with office_in(tmp_path, {}) as office:
        await office.begin()
        commit = await office.push("second", "bob", by=private, empty_by=BOB)

        assert "is your own commit" in await office.approve_in_console("ada", 101)
        assert "is your own commit" in await office.approve_in_console("ada-renamed", 101)
        assert "is your own commit" in await office.approve_in_console("bob", 102)
        assert "You approved" in await office.approve_in_console("grace", 103)
        await office.is_live(commit)

        await office.push("third", "bob", empty_by=BOB)
        assert "is your own commit" in await office.approve_in_console("ada", 101)


async def test_whoever_pushed_what_was_to_be_skipped_does_not_approve_what_brings_it(
    tmp_path: Path,
) -> None:
    async with office_in(tmp_path, {}) as office:
        await office.begin()
        await office.push("second [skip deploy]", "bob")
        commit = await office.push("third", "eve")
        await office.held("has 0")

        assert "is your own commit" in await office.approve_in_console("bob", 102)
        assert "is your own commit" in await office.approve_in_console("eve", 104)
        assert "You approved" in await office.approve_in_console("grace", 103)
        await office.is_live(commit)


@pytest.mark.parametrize(("on", "on_top"), [("github", False), ("gitlab", True)])
async def test_going_back_past_a_revert_brings_what_was_taken_back_by_whoever_wrote_it(
    tmp_path: Path, on: str, on_top: bool
) -> None:
    """It was never live; the branch is set back to it, or to a commit beside the revert."""
    async with office_in(tmp_path, {}, on=on) as office:
        await office.begin()
        git, page = office.origin.repository.git, office.origin.repository.path / "web/index.html"
        first = page.read_text()
        bad = await office.push("bad, by Ada", "bob", empty_by=BOB)
        back = await office.push(first, "bob", by=BOB)
        await office.held(back[:7])
        assert "You approved" in await office.approve_in_console("grace", 103)
        await office.is_live(back)

        git("reset", "-q", "--hard", bad)
        again = office.commit(None, BOB) if on_top else bad
        await office.says(back, again, "eve", BOB)
        await office.held(again[:7])
        for login, number in (("ada", 101), ("bob", 102), ("eve", 104)):
            assert "is your own commit" in await office.approve_in_console(login, number)
        assert "You approved" in await office.approve_in_console("grace", 103)
        await office.is_live(again)


@pytest.mark.parametrize("on", ["github"])
async def test_an_alias_that_leads_to_no_account_stops_approvals_until_it_is_named(
    tmp_path: Path, on: str
) -> None:
    alias = ("Ada", "ada@home.example")
    for number, given in enumerate(({}, {"ada": [alias[1], f"{on}:ada"]})):
        async with office_in(tmp_path / str(number), given, on=on) as office:
            await office.begin()
            await office.push("second", "bob", by=alias, empty_by=BOB)

            told = await office.approve_in_console("ada", 101)
            if given:
                assert "is your own commit" in told
                assert "You approved" in await office.approve_in_console("grace", 103)
            else:
                assert f"has no known account on {on}: name their address in" in told
                await office.held(f"has no known account on {on}")
