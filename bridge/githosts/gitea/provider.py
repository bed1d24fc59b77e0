"""Gitea's record: what the rest of the bridge needs to know of Gitea and Forgejo."""

from collections.abc import AsyncIterator, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from bridge.core.refs import Pages
from bridge.ports.checks import Checked, Finding
from bridge.ports.githosts import GitHost
from bridge.ports.providers import Provider, WebhookSecrets

if TYPE_CHECKING:
    from bridge.githosts.gitea.api import Gitea as Api
    from bridge.githosts.gitea.settings import Gitea
    from bridge.ports.setup import Setup

_EVENTS = frozenset(
    {
        *("push", "create", "delete", "fork", "release", "repository", "status", "wiki"),
        *("issues", "issue_comment", "pull_request", "pull_request_comment"),
        *("pull_request_approved", "pull_request_rejected", "workflow_run", "workflow_job"),
        *("action_run_success", "action_run_failure", "action_run_recover"),
    }
)


def _likeness(body: Mapping[str, Any]) -> int:
    """Rate a body by its accounts, which have a `username` or `last_login` only at Gitea."""
    accounts = [body.get("sender"), body.get("pusher")]
    known = any(
        isinstance(account, dict) and ("username" in account or "last_login" in account)
        for account in accounts
    )
    return 2 if known and "repository" in body and "object_kind" not in body else 0


def _event_of(body: Mapping[str, Any]) -> str | None:
    if "before" in body and "after" in body:
        return "push"
    if "ref_type" in body:
        return "delete" if "pusher_type" in body else "create"
    if "context" in body and "state" in body:
        return "status"
    if event := next((kind for kind in ("workflow_job", "workflow_run") if kind in body), None):
        return event
    return "pull_request" if isinstance(body.get("pull_request"), dict) else None


def _settings() -> "type[Gitea]":
    from bridge.githosts.gitea.settings import Gitea

    return Gitea


def _signed_with(*secrets: str) -> GitHost:
    from bridge.githosts.gitea.webhooks import Gitea

    return Gitea(secrets)


def _api(name: str, settings: "Gitea") -> "Api | None":
    if settings.token is None:
        return None  # before the slow import
    from bridge.githosts.gitea.api import gitea_api

    return gitea_api(name, token=settings.token, url=settings.url, ca=settings.ca)


def _checks(checked: Checked) -> AsyncIterator[Finding]:
    from bridge.githosts.gitea.checks import checks

    return checks(checked)


def _setup() -> "Setup":
    from bridge.githosts.base.tokens import token_setup
    from bridge.ports.setup import SetupField

    return token_setup(
        "Gitea",
        _api,
        "pull request",
        SetupField(
            "url",
            "Address of Gitea or Forgejo",
            "as in your browser",
            example="https://gitea.example.com",
        ),
        SetupField(
            "token",
            "Access token",
            "Settings, Applications, Generate New Token; repository and issue: read and write",
            secret=True,
        ),
    )


GITEA = Provider(
    key="gitea",
    title="Gitea",
    event_header="X-Gitea-Event",
    also_sends=("X-GitHub-Event",),
    begins=("X-Gitea-", "X-Forgejo-", "X-Gogs-"),
    settings=_settings,
    secrets=(WebhookSecrets("webhook_secrets"),),
    webhook_note="as application/json",
    webhooks=lambda given: _signed_with(*(key.get_secret_value() for key in given.webhook_secrets)),
    reader=lambda: _signed_with(token_hex(32)),
    verifier=lambda secret, _signs: _signed_with(secret),
    events=_EVENTS,
    likeness=_likeness,
    event_of=_event_of,
    further="giteas",
    api=_api,
    web_url=lambda given: given.web_url or given.url,
    homes=lambda given: (given.url,),
    pages=Pages(pull_request="/pulls/{number}"),
    checks=_checks,
    setup=_setup,
)
