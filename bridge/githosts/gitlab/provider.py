"""GitLab's record: what the rest of the bridge needs to know of GitLab.com and other servers."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from secrets import token_bytes, token_hex
from typing import TYPE_CHECKING, Any

from bridge.core.refs import Pages
from bridge.ports.checks import Checked, Finding
from bridge.ports.clock import Limit
from bridge.ports.githosts import GitHost
from bridge.ports.providers import Provider, WebhookSecrets
from bridge.ports.sign_in import Naming, SignInProvider

if TYPE_CHECKING:
    from bridge.core.access import Access
    from bridge.githosts.gitlab.api import Gitlab as Api
    from bridge.githosts.gitlab.settings import Gitlab
    from bridge.ports.setup import Setup
    from bridge.ports.sign_in import SignsIn

_EVENTS = frozenset(
    {
        *("Push Hook", "Tag Push Hook", "System Hook", "Merge Request Hook", "Note Hook"),
        *("Issue Hook", "Pipeline Hook", "Job Hook", "Release Hook", "Deployment Hook"),
    }
)
_BY_KIND = {
    "push": "Push Hook",
    "tag_push": "Tag Push Hook",
    "pipeline": "Pipeline Hook",
    "build": "Job Hook",
}


def _event_of(body: Mapping[str, Any]) -> str | None:
    kind = body.get("object_kind") or body.get("event_name")
    if isinstance(kind, str) and kind in _BY_KIND:
        return _BY_KIND[kind]
    return "System Hook" if kind else None


def _settings() -> "type[Gitlab]":
    from bridge.githosts.gitlab.settings import Gitlab

    return Gitlab


def _webhooks(settings: "Gitlab") -> GitHost:
    from bridge.githosts.gitlab.webhooks import GitLab

    return GitLab(
        [token.get_secret_value() for token in settings.webhook_tokens],
        [token.get_secret_value() for token in settings.signing_tokens],
    )


def _verifier(secret: str, signs: bool | None) -> GitHost:
    from bridge.githosts.gitlab.webhooks import GitLabHook

    return GitLabHook(secret, signs)


def _new_secret() -> str:
    """Return a token, and a signing token for servers that sign."""
    return f"{token_hex(32)} whsec_{b64encode(token_bytes(32)).decode()}"


def _hint_in(headers: Mapping[str, str]) -> str:
    token = headers.get("X-Gitlab-Token", "")
    return _digest(token) if token else ""


def _hint_of(secret: str, _hook: str | None) -> str:
    tokens = [token for token in secret.split() if not token.startswith("whsec_")]
    return _digest(tokens[0]) if tokens else ""


def _digest(token: str) -> str:
    """Return a token's digest: looking it up takes no longer for a token that is nearly right."""
    return sha256(token.encode(errors="surrogatepass")).hexdigest()


def _api(_name: str, settings: "Gitlab") -> "Api | None":
    if settings.token is None:
        return None  # before the slow import
    from bridge.githosts.gitlab.api import gitlab_api

    return gitlab_api(token=settings.token, url=settings.url, ca=settings.ca)


def _checks(checked: Checked) -> AsyncIterator[Finding]:
    from bridge.githosts.gitlab.checks import checks

    return checks(checked)


def _setup() -> "Setup":
    from bridge.githosts.base.tokens import token_setup
    from bridge.ports.setup import SetupField

    return token_setup(
        "GitLab",
        _api,
        "merge request",
        SetupField(
            "url",
            "Address of GitLab",
            "as in your browser",
            optional=True,
            example="https://gitlab.com",
        ),
        SetupField(
            "token",
            "Access token",
            "of a project or group: Settings, Access tokens; role Maintainer, scope api",
            secret=True,
            example="glpat-…",
        ),
    )


def _opened(settings: "Gitlab", access: "Access") -> "SignsIn | None":
    from bridge.githosts.gitlab.sign_in import opened

    return opened(settings, access)


GITLAB = Provider(
    key="gitlab",
    title="GitLab",
    event_header="X-Gitlab-Event",
    settings=_settings,
    secrets=(
        WebhookSecrets("webhook_tokens"),
        WebhookSecrets("signing_tokens", remedy="let GitLab generate a new one", prefix="whsec_"),
    ),
    token_begins=("glpat-",),
    webhooks=_webhooks,
    reader=lambda: _verifier(token_hex(32), None),
    verifier=_verifier,
    new_secret=_new_secret,
    hint_in=_hint_in,
    hint_of=_hint_of,
    events=_EVENTS,
    likeness=lambda body: 2 if "object_kind" in body or "event_name" in body else 0,
    event_of=_event_of,
    api=_api,
    limits=(Limit(1, 1.0), Limit(60, 60.0)),
    web_url=lambda given: given.web_url or given.url,
    homes=lambda given: (given.url,),
    pages=Pages(
        commit="/-/commit/{sha}",
        compare="/-/compare/{old}...{new}",
        pull_request="/-/merge_requests/{number}",
        environment="/-/environments",
        sign="!",
    ),
    review="review",  # which makes its tier "development"
    checks=_checks,
    setup=_setup,
    sign_in=SignInProvider(
        names=(
            Naming(r"gitlab:[A-Za-z0-9_][\w.-]{0,254}", "a username (gitlab:ada)", True),
            Naming(r"gitlab:#[1-9][0-9]{0,18}", "the id of an account (gitlab:#1234)"),
            Naming(
                r"gitlab:@[A-Za-z0-9_][\w.-]{0,254}(?:/[\w.-]{1,255}){0,20}",
                "a group (gitlab:@my-group/subgroup)",
                True,
                group=True,
            ),
        ),
        open=_opened,
    ),
)
