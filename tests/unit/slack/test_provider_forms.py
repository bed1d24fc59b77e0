"""The forms that configure an app: what they begin with, what they ask for, what stays secret."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bridge.chats.slack import names
from bridge.chats.slack.blocks import depends_on, given_in
from bridge.chats.slack.config_forms import (
    build_fields,
    build_wanted,
    environment_fields,
    environment_wanted,
)
from bridge.chats.slack.config_views import About, part_view, read_about
from bridge.chats.slack.source_form import SourceForm, block_of, source_fields, source_wanted
from bridge.core.apps import AppKind, Prereleases, Rules, SourceType, Trigger
from bridge.core.configuration.difference import difference
from bridge.core.configuration.merge import merge
from bridge.core.errors import Rejected, Unfit
from bridge.core.policies import VerifyPolicy
from bridge.ports.backends import GitRepository
from tests.oracles.slack_rules import faults
from tests.scenes.shop import DOCS, WEB
from tests.scenes.slack_provider import ACCOUNTS, DOCKER, GIT, GITHUB, GITLAB, SECRET, configured
from tests.worlds.rows import each_row


def as_sent(blocks: list[dict[str, Any]], **changed: Any) -> dict[str, Any]:
    """What Slack sends of a form in which nothing but some fields was changed."""
    values: dict[str, Any] = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element = dict(block["element"])
        name = block["block_id"].partition(".")[2].partition("|")[0]
        sent: dict[str, Any] = {"type": element["type"]}
        if element["type"] in ("checkboxes", "multi_static_select"):
            sent["selected_options"] = element.get("initial_options", [])
        elif "select" in element["type"]:
            sent["selected_option"] = element.get("initial_option")
        else:
            sent["value"] = element.get("initial_value")
        if name in changed:
            sent |= changed[name]
        values[block["block_id"]] = {element["action_id"]: sent}
    return given_in({"state": {"values": values}})


def chosen(value: str) -> dict[str, Any]:
    return {"selected_option": {"value": value}}


def typed(value: str | None) -> dict[str, Any]:
    return {"value": value}


HEALTHZ = VerifyPolicy(url="/healthz", within=120.0, contains="all is well")

FORMS = [
    SourceForm(WEB, configured(GITHUB)),
    SourceForm(WEB, configured(GITHUB), ACCOUNTS),
    SourceForm(WEB, configured(GITLAB), ACCOUNTS),
    SourceForm(WEB, configured(GITLAB)),
    SourceForm(WEB, configured(GIT)),
    SourceForm(DOCS, configured(DOCKER)),
    SourceForm(replace(WEB, kind=AppKind.COMPOSE), configured(GITHUB), ACCOUNTS),
    SourceForm(
        WEB,
        configured(
            GITLAB,
            Rules(
                trigger=Trigger.TAG,
                tags="v*",
                versions=">=2",
                tag_prefix="v",
                prereleases=Prereleases.SKIP,
                only_newer=True,
            ),
        ),
    ),
    SourceForm(WEB, configured(GITHUB, Rules(branch="release/*"))),
    SourceForm(WEB, configured(GITHUB, Rules(verify=HEALTHZ))),
    SourceForm(DOCS, configured(DOCKER, Rules(verify=HEALTHZ))),
    # watch paths that Slack can't hold
    SourceForm(WEB, configured(GITHUB.model_copy(update={"watch_paths": ("a/" + "b" * 3000,)}))),
]


@each_row("form", FORMS)
def test_a_form_that_nobody_has_touched_asks_for_nothing_and_shows_no_secret(
    form: SourceForm,
) -> None:
    blocks = source_fields(form)
    assert SECRET not in json.dumps(blocks)
    sent = replace(form, given=as_sent(blocks))
    picked = None
    if form.account is not None:
        path = str(sent.value("repository"))
        picked = GitRepository(4711, path.partition("/")[0], path.rpartition("/")[2], path)

    for asked in (source_wanted(sent, picked), source_wanted(form, picked)):
        assert difference(form.now, merge(form.now, asked)) == ()


def test_what_was_changed_is_asked_for_and_empty_takes_away() -> None:
    form = FORMS[0]
    given = as_sent(
        source_fields(form),
        branch=typed("dev"),
        watch_paths=typed(" web/** \n\n!web/*.md\n"),
        build_path=typed(None),
        clone={"selected_options": [{"value": "submodules"}]},
    )

    after = merge(form.now, source_wanted(replace(form, given=given))).saved.provider

    assert after is not None
    assert after == GITHUB.model_copy(
        update={
            "branch": "dev",
            "watch_paths": ("web/**", "!web/*.md"),
            "build_path": "/",
            "submodules": True,
        }
    )


def test_another_kind_shows_its_own_fields_and_keeps_when_it_deploys() -> None:
    form = replace(FORMS[0], given={"kind": "git", "trigger": "push"})
    blocks = source_fields(form)
    given = as_sent(blocks, url=typed("https://example.com/a.git"), branch=typed("main"))

    after = merge(form.now, source_wanted(replace(form, given=given)))

    ids = [block["block_id"] for block in blocks if "block_id" in block]
    assert ids[:3] == ["source.kind", "git.url", "git.branch"]
    assert after.saved.provider is not None
    assert after.saved.provider.type is SourceType.GIT
    assert after.saved.watch_paths == GITHUB.watch_paths


def test_tags_have_fields_of_their_own_and_what_is_not_shown_stays() -> None:
    form = replace(FORMS[0], given={"trigger": "tag"})
    blocks = source_fields(form)
    given = as_sent(blocks, tags=typed("v*"), prereleases=chosen("skip"))

    after = merge(form.now, source_wanted(replace(form, given=given)))

    assert after.rules == Rules(tags="v*", prereleases=Prereleases.SKIP)
    assert after.saved.trigger is Trigger.TAG
    assert after.saved.watch_paths == GITHUB.watch_paths
    assert not any("watch_paths" in block.get("block_id", "") for block in blocks)


def test_a_branch_is_looked_for_in_the_repository_that_is_chosen() -> None:
    form = replace(FORMS[1], given={"account": ACCOUNTS[0].id, "repository": "acme/other"})
    (branch,) = [b for b in source_fields(form) if b.get("block_id", "").startswith("github.br")]

    assert branch["element"]["type"] == "external_select"
    assert depends_on(branch["block_id"]) == [ACCOUNTS[0].id, "acme/other"]


# ── secrets ──────────────────────────────────────────────────────────────────


def test_a_password_is_replaced_or_forgotten_and_never_drawn_again() -> None:
    form = SourceForm(DOCS, configured(DOCKER))
    blocks = source_fields(form)
    new = replace(form, given=as_sent(blocks, password=typed("another")))
    forget = {"selected_options": [{"value": "password"}]}
    none = replace(form, given=as_sent(blocks, forget=forget))

    replaced, forgotten = (merge(form.now, source_wanted(one)) for one in (new, none))

    assert "another" not in json.dumps(source_fields(new))
    assert replaced.saved.provider == DOCKER.model_copy(update={"password": SecretStr("another")})
    assert forgotten.saved.provider == DOCKER.model_copy(update={"password": None})
    assert "another" not in repr(source_wanted(new))


def test_variables_are_shown_by_name_only_and_what_is_typed_is_not_drawn_again() -> None:
    now = configured(GITHUB)
    given = {"set": "NEW=hunter3", "section": "env"}

    drawn_ = json.dumps(environment_fields(WEB, now, given))

    assert "API_KEY" in drawn_
    assert SECRET not in drawn_
    assert "hunter3" not in drawn_
    assert "production" not in drawn_


def test_variables_are_set_and_taken_out_beside_those_that_stay() -> None:
    now = configured(GITHUB)
    blocks = environment_fields(WEB, now)
    unset = {"selected_options": [{"value": "env.API_KEY"}]}
    asked = as_sent(blocks, set=typed("# why\nLOG_LEVEL='a b'\nNEW=1"), unset=unset)

    after = merge(now, environment_wanted(asked)).saved.environment

    assert after.env == SecretStr("LOG_LEVEL='a b'\nNEW=1")
    assert after.build_args == now.saved.environment.build_args
    untouched = environment_wanted(as_sent(blocks))
    assert difference(now, merge(now, untouched)) == ()


@each_row(
    ("asked", "field"),
    [({"set": f"{SECRET} is no variable"}, "set"), ({"set": "A=1", "unset": ("env.A",)}, "unset")],
)
def test_what_is_no_variable_is_refused_without_repeating_it(
    asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unfit) as caught:
        environment_wanted(asked)

    assert caught.value.field == field
    assert SECRET not in str(caught.value)


# ── how it is built ──────────────────────────────────────────────────────────


@each_row("kind", ["dockerfile", "static", "nixpacks", "railpack", "paketo_buildpacks"])
def test_each_kind_of_build_has_its_fields(kind: str) -> None:
    now = configured(GITHUB, build_type=kind)
    blocks = build_fields(now)

    assert difference(now, merge(now, build_wanted(now, as_sent(blocks)))) == ()

    other = as_sent(blocks, build_type=chosen("static")) | {"pages": ("static_spa",)}
    after = merge(now, build_wanted(now, other)).saved.build
    assert after is not None
    assert (after.build_type, after.static_spa) == ("static", True)


# ── errors and metadata ──────────────────────────────────────────────────────


@each_row(
    ("form", "field", "block"),
    [
        (FORMS[0], "branch", "github.branch"),
        (FORMS[0], "owner", "github.path"),
        (FORMS[1], "owner", f"github.repository|{ACCOUNTS[0].id}"),
        (FORMS[1], "provider_id", "github.account"),
        (FORMS[3], "project_id", "gitlab.project_id"),
        (FORMS[4], "url", "git.url"),
        (FORMS[7], "versions", "when.versions"),
        (FORMS[0], "nothing of the form", "source.kind"),
    ],
)
def test_an_error_stands_beside_its_field(form: SourceForm, field: str, block: str) -> None:
    view = part_view(WEB, About(WEB.id), source_fields(form))

    assert block_of(field, view) == block


def test_metadata_holds_ids_only_and_is_read_back() -> None:
    about = About("x" * 50, "C024BE91L", names.PROVIDER_BUILD, "d" * 24)

    assert read_about(about.write()) == about
    assert len(about.write()) < 300
    for broken in ("", "{}", "[1]", "null", "[[], [], [], []]x"):
        assert read_about(broken) is None


WORDS = st.one_of(st.none(), st.text(max_size=40), st.sampled_from(["-", "github", "tag", "a/b"]))


FIELDS = [
    *("kind", "trigger", "account", "repository", "path", "project_id", "branch", "url"),
    *("image", "password", "watch_paths", "branches", "tags", "versions", "prereleases"),
]


@settings(max_examples=40)
@drawn(st.dictionaries(st.sampled_from(FIELDS), WORDS), st.sampled_from(FORMS))
def test_whatever_is_put_in_is_drawn_within_the_limits_and_read_or_refused(
    given: dict[str, Any], form: SourceForm
) -> None:
    filled = replace(form, given=given)
    view = part_view(filled.app, About("a"), source_fields(filled))

    assert faults(view) == []
    if (secret := given.get("password")) and len(secret) > 20:
        assert secret not in json.dumps(view)
    try:
        merge(form.now, source_wanted(filled))
    except Rejected as error:
        refusal = error
    else:
        return
    assert block_of(getattr(refusal, "field", ""), view)
