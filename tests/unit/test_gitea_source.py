"""Gitea as the source of an app: by command and in a form, with a difference, and undone."""

import pytest

from bridge.chats.slack.source_form import SourceForm, source_wanted
from bridge.core.apps import SourceType
from bridge.core.configuration.configuration import (
    GiteaSource,
    SourceRow,
    changes,
    fields_of,
    row_of,
    source_in,
    with_provider,
)
from bridge.core.configuration.difference import difference
from bridge.core.configuration.merge import WantedSource, merge
from bridge.core.errors import Rejected
from tests.scenes.shop import WEB
from tests.scenes.slack_provider import GITHUB, configured

GITEA = GiteaSource(owner="acme", repository="shop", branch="main", provider_id="gt_1")


def test_an_app_can_be_given_a_gitea_source_and_each_change_is_shown() -> None:
    now = configured(GITHUB)
    wanted = {"owner": "acme", "repository": "shop", "branch": "main", "provider_id": "gt_1"}

    would_be = merge(now, WantedSource(SourceType.GITEA, wanted))

    kept = {"watch_paths": GITHUB.watch_paths, "submodules": GITHUB.submodules}
    assert would_be.saved.provider == GITEA.model_copy(update=kept)
    shown = {one.field: (one.before, one.after) for one in difference(now, would_be)}
    assert shown["source"] == ("github", "gitea")
    assert shown["provider_id"] == (GITHUB.provider_id, "gt_1")


def test_a_gitea_source_keeps_what_is_not_named() -> None:
    would_be = merge(configured(GITEA), WantedSource(None, {"branch": "dev"}))

    assert would_be.saved.provider == GITEA.model_copy(update={"branch": "dev"})


def test_a_gitea_source_without_an_account_is_refused_with_the_remedy() -> None:
    wanted = {"owner": "acme", "repository": "shop", "branch": "main"}

    with pytest.raises(Rejected, match="provider_id"):
        merge(configured(GITHUB), WantedSource(SourceType.GITEA, wanted))


def test_a_form_of_slack_asks_for_the_same() -> None:
    typed = {"kind": "gitea", "path": "acme/other", "branch": "main", "trigger": "push"}
    form = SourceForm(WEB, configured(GITEA), (), typed)

    would_be = merge(form.now, source_wanted(form))

    assert would_be.saved.provider == GITEA.model_copy(update={"repository": "other"})


def test_its_stored_fields_are_written_and_written_back() -> None:
    before = with_provider(SourceRow(), None, GITHUB)
    after = with_provider(before, GITHUB, GITEA)

    back = row_of(fields_of(after) | changes(after, before))

    assert source_in(after) == GITEA
    assert source_in(back) == GITHUB
    assert fields_of(back) == fields_of(before)
