"""Who somebody is, by each service: their id, their verified address, and groups that count."""

import logging
from typing import Any

import pytest

from bridge.core.access import Person
from bridge.core.errors import Refused, Rejected, Unreachable
from tests.fakes.github import FakeGithub
from tests.fakes.slack.methods import TEAM
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.identity import at_github, at_slack, service_of

# ── GitHub ───────────────────────────────────────────────────────────────────────────────────────


async def test_only_the_primary_address_counts_and_only_if_it_is_verified() -> None:
    async with FakeGithub() as github:
        service = at_github(github)
        fields = ("email", "primary", "verified")
        emails: list[tuple[str, bool, bool]] | None
        for emails, counts in (
            ([("ada@example.com", True, True)], "ada@example.com"),
            ([("ada@example.com", True, False)], None),
            ([("ada@example.com", False, True)], None),
            ([("ada@home.example", True, False), ("ada@example.com", False, True)], None),
            ([("a@example.com", False, True), ("ada@example.org", True, True)], "ada@example.org"),
            ([], None),
            (None, None),
        ):
            github.accounts.emails = (
                None if emails is None else [dict(zip(fields, one, strict=True)) for one in emails]
            )
            assert (await service.person(service.way())).email == counts, emails


async def test_a_github_account_has_a_number_that_stays_when_its_login_changes() -> None:
    async with FakeGithub() as github:
        service = at_github(github)
        person = await service.person(service.way("github:ada"))
        assert "github:#583231" in person.groups
        assert github.accounts.codes.scopes == ["user:email"]
        assert not [one for one in github.asked if "memberships" in one.path]

        github.accounts.login = "Countess"
        person = await service.person(service.way())
        assert person.id == "github:countess"
        assert "github:#583231" in person.groups


async def test_organisations_and_teams_count_if_grants_name_them_and_somebody_is_in() -> None:
    named = ("github:@my-org", "github:@My-Org/Team", "github:@other", "github:@my-org/others")
    async with FakeGithub() as github:
        service = at_github(github)
        github.accounts.memberships = {"my-org", "my-org/team", "unnamed"}
        github.accounts.pending = {"other"}
        person = await service.person(service.way(*named))

        assert person.groups == {"github:#583231", "github:@my-org", "github:@my-org/team"}
        assert github.accounts.codes.scopes == ["user:email read:org"]


async def test_an_organisation_that_does_not_tell_grants_nothing_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with FakeGithub() as github:
        service = at_github(github)
        github.accounts.memberships = {"my-org"}
        github.accounts.closed = {"my-org"}
        with caplog.at_level(logging.WARNING):
            person = await service.person(service.way("github:@my-org"))

        assert person.groups == {"github:#583231"}
        assert "*Members*: read" in caplog.text


# ── GitLab, and any OpenID provider ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["gitlab", "oidc"])
@pytest.mark.parametrize(
    ("token", "more", "counts"),
    [
        ({"email": "ada@example.com", "email_verified": True}, {}, "ada@example.com"),
        ({"email": "ada@example.com", "email_verified": False}, {}, None),
        ({"email": "ada@example.com", "email_verified": "true"}, {}, None),
        ({"email": "ada@example.com"}, {}, None),
        ({}, {"email": "ada@example.com", "email_verified": True}, "ada@example.com"),
        ({"email": "eve@example.com"}, {"email_verified": True}, None),
        ({"email_verified": True}, {"email": "eve@example.com"}, None),
        ({"email": ["ada@example.com"], "email_verified": True}, {}, None),
    ],
)
async def test_an_address_counts_only_if_whoever_names_it_has_verified_it(
    name: str, token: dict[str, Any], more: dict[str, Any], counts: str | None
) -> None:
    async with service_of(name) as service:
        assert service.issuer is not None
        service.issuer.claims |= token
        service.issuer.more = more
        assert (await service.person(service.way())).email == counts


async def test_gitlab_s_groups_count_by_their_whole_path() -> None:
    named = ("gitlab:@My-Group/Sub", "gitlab:@my", "gitlab:@elsewhere")
    async with service_of("gitlab") as service:
        assert service.issuer is not None
        service.issuer.more = {"groups": ["my-group", "my-group/sub", "unnamed"]}
        person = await service.person(service.way(*named))

        assert person.groups == {"gitlab:@my-group/sub", "gitlab:#42"}


@pytest.mark.parametrize("username", ["", "@my-group", "#42", "a/b", None])
async def test_a_gitlab_username_that_is_none_signs_nobody_in(username: str | None) -> None:
    async with service_of("gitlab") as service:
        assert service.issuer is not None
        service.issuer.claims["preferred_username"] = username
        with pytest.raises(Refused, match="who signed in"):
            await service.person(service.way())


@pytest.mark.parametrize(
    ("groups", "counts"),
    [
        (["deployers", "others"], {"oidc:@deployers"}),
        ("deployers", {"oidc:@deployers"}),
        (["Deployers"], set()),
        ([7, None], set()),
        ({"deployers": True}, set()),
        (None, set()),
    ],
)
async def test_the_groups_of_a_claim_count_if_grants_name_them(
    groups: Any, counts: set[str]
) -> None:
    async with service_of("oidc") as service:
        assert service.issuer is not None
        way = service.way("oidc:@deployers", BRIDGE_CONSOLE_OIDC_GROUPS_CLAIM="roles")
        service.issuer.more = {"roles": groups}
        assert (await service.person(way)).groups == counts


async def test_the_id_token_is_believed_before_userinfo() -> None:
    async with service_of("oidc") as service:
        assert service.issuer is not None
        service.issuer.claims |= {"groups": ["readers"]}
        service.issuer.more = {"groups": ["deployers"]}
        person = await service.person(service.way("oidc:@deployers", "oidc:@readers"))
        assert person.groups == {"oidc:@readers"}


async def test_userinfo_of_somebody_else_signs_nobody_in() -> None:
    async with service_of("oidc") as service:
        assert service.issuer is not None
        service.issuer.more = {"sub": "eve"}
        with pytest.raises(Refused, match="somebody else"):
            await service.person(service.way())


async def test_a_subject_can_t_pass_for_a_group() -> None:
    async with service_of("oidc") as service:
        assert service.issuer is not None
        service.issuer.claims["sub"] = "@deployers"
        with pytest.raises(Refused, match="looks like a group"):
            await service.person(service.way("oidc:@deployers"))


async def test_a_name_is_shown_without_what_steers_a_terminal() -> None:
    async with service_of("oidc") as service:
        assert service.issuer is not None
        service.issuer.claims["name"] = "Ada\n\x1b[31m\u202eLovelace " + "x" * 500
        name = (await service.person(service.way())).name
        assert name.isprintable()
        assert len(name) <= 80


# ── Slack ────────────────────────────────────────────────────────────────────────────────────────


async def signed_in(slack: FakeSlack, *who: str, user: str = "U0ADA", team: str = TEAM) -> Person:
    """Who signs in at a workspace, where grants name these."""
    service = at_slack(slack, user, team)
    return await service.person(service.way(*who))


async def test_somebody_of_the_workspace_is_who_they_are_in_chat() -> None:
    async with running_slack() as slack:
        slack.groups["S0DEV"] = ["U0ADA"]
        slack.groups["S0OPS"] = ["U0BOB"]
        person = await signed_in(slack, "S0DEV", "S0OPS", "@example.com")

        same = Person("U0ADA", "Ada", "ada@example.com", frozenset({"S0DEV"}), chat="slack")
        assert person == same


async def test_somebody_of_another_workspace_is_refused() -> None:
    async with running_slack() as slack:
        for team in ("T0OTHER", ""):
            with pytest.raises(Rejected, match="a different workspace"):
                await signed_in(slack, team=team)


@pytest.mark.parametrize("flag", ["is_restricted", "is_ultra_restricted", "deleted"])
async def test_a_guest_counts_only_by_their_id(flag: str) -> None:
    async with running_slack() as slack:
        slack.person("U0GUEST", "Guest", **{flag: True})
        assert (await signed_in(slack, user="U0GUEST")).stranger


async def test_who_can_t_be_looked_up_does_not_get_in_with_less() -> None:
    async with running_slack() as slack:
        for _ in range(2):
            slack.next("users.info", status=500)
        with pytest.raises(Unreachable, match="sign in again"):
            await signed_in(slack)
        slack.next("auth.test", error="invalid_auth")
        with pytest.raises(Refused, match="bot token"):
            await signed_in(slack)
