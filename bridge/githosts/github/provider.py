"""GitHub's record: what the rest of the bridge needs to know of github.com and GHES."""

from collections.abc import AsyncIterator, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from bridge.ports.checks import Checked, Finding
from bridge.ports.clock import Limit
from bridge.ports.githosts import GitHost, HostApi
from bridge.ports.providers import AppManifest, Provider, WebhookSecrets
from bridge.ports.sign_in import Naming, SignInProvider

if TYPE_CHECKING:
    from bridge.core.access import Access
    from bridge.githosts.github.settings import Github
    from bridge.ports.setup import Setup
    from bridge.ports.sign_in import SignsIn

_EVENTS = frozenset(
    {
        *("push", "create", "delete", "ping", "pull_request", "release", "issue_comment"),
        *("status", "check_run", "check_suite", "workflow_run", "deployment", "deployment_status"),
    }
)

_OF_PULL_REQUESTS = {
    "review": "pull_request_review",
    "comment": "pull_request_review_comment",
    "thread": "pull_request_review_thread",
}
"""Events about a part of a pull request, by the field of that part."""


def _repository_id(headers: Mapping[str, str]) -> str:
    if headers.get("X-GitHub-Hook-Installation-Target-Type") != "repository":
        return ""
    return headers.get("X-GitHub-Hook-Installation-Target-ID", "")


def _likeness(body: Mapping[str, Any]) -> int:
    repository = body.get("repository")
    known = isinstance(repository, dict) and ("full_name" in repository or "owner" in repository)
    return int(known or "zen" in body)


def _event_of(body: Mapping[str, Any]) -> str | None:
    if "ref" in body and "before" in body and "after" in body:
        return "cache_sync" if "cache_location" in body else "push"
    if "ref" in body and "ref_type" in body:
        return "create" if "master_branch" in body else "delete"
    if isinstance(body.get("pull_request"), dict):
        parts = (event for part, event in _OF_PULL_REQUESTS.items() if part in body)
        return next(parts, "pull_request")
    if "context" in body and "state" in body:
        return "status"
    if "deployment" not in body:  # one may contain the check run that made it
        reports = (event for event in ("check_run", "check_suite") if event in body)
        return next(reports, "ping" if "zen" in body else None)
    return None


def _settings() -> "type[Github]":
    from bridge.githosts.github.settings import Github

    return Github


def _signed_with(*secrets: str) -> GitHost:
    from bridge.githosts.github.webhooks import GitHub

    return GitHub(secrets)


def _hint_of(_secret: str, hook: str | None) -> str:
    return hook if hook is not None and hook.isdecimal() else ""


def _api(_name: str, settings: "Github") -> HostApi | None:
    if settings.token is None and settings.app_id is None and settings.private_key is None:
        return None  # before the slow import
    from bridge.githosts.github.api import api_of

    return api_of(settings)


def _web_url(settings: "Github") -> str:
    from bridge.githosts.github.settings import web_url_of

    return web_url_of(settings)


def _homes(settings: "Github") -> tuple[str, ...]:
    from bridge.githosts.github.settings import web_of

    return (web_of(settings.api_url),)


def _manifest(url: str, name: str) -> Mapping[str, Any]:
    from bridge.githosts.github.access import github_manifest

    return github_manifest(url, name)


def _link(manifest: Mapping[str, Any], server: str, org: str | None) -> str:
    from bridge.githosts.github.access import registration_link

    return registration_link(manifest, server=server, org=org)


def _checks(checked: Checked) -> AsyncIterator[Finding]:
    from bridge.githosts.github.checks import checks

    return checks(checked)


def _setup() -> "Setup":
    from bridge.githosts.github.setup import SETUP

    return SETUP


def _opened(settings: "Github", access: "Access") -> "SignsIn | None":
    from bridge.githosts.github.sign_in import opened

    return opened(settings, access)


GITHUB = Provider(
    key="github",
    title="GitHub",
    event_header="X-GitHub-Event",
    repository_id=_repository_id,
    settings=_settings,
    secrets=(WebhookSecrets("webhook_secrets"),),
    token_begins=("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_"),
    webhook_note="as application/json",
    webhooks=lambda given: _signed_with(*(key.get_secret_value() for key in given.webhook_secrets)),
    reader=lambda: _signed_with(token_hex(32)),
    verifier=lambda secret, _signs: _signed_with(secret),
    hint_in=lambda headers: headers.get("X-GitHub-Hook-ID", ""),
    hint_of=_hint_of,
    events=_EVENTS,
    likeness=_likeness,
    event_of=_event_of,
    api=_api,
    limits=(Limit(1, 1.0), Limit(80, 60.0), Limit(490, 3600.0)),  # its own is 500 an hour
    own_limits=lambda given: given.app_id is not None,  # each installation has its own
    web_url=_web_url,
    homes=_homes,
    manifest=AppManifest(
        longest_name=34,
        server="https://github.com",
        own_server="GitHub Enterprise Server",
        make=_manifest,
        link=_link,
    ),
    checks=_checks,
    setup=_setup,
    sign_in=SignInProvider(
        names=(
            Naming(r"github:[A-Za-z0-9](?:[A-Za-z0-9_-]{0,60})", "a login (github:ada)", True),
            Naming(r"github:#[1-9][0-9]{0,18}", "the id of an account (github:#583231)"),
            Naming(
                r"github:@[A-Za-z0-9][A-Za-z0-9_-]{0,60}(?:/[\w.-]{1,100})?",
                "an organisation or a team (github:@my-org, github:@my-org/team)",
                True,
                group=True,
            ),
        ),
        open=_opened,
    ),
)
