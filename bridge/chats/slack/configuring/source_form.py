"""Where an app's code comes from and when it deploys, as a form. Pure.

What is secret is never in it: a registry's password and an address with credentials stay as
they are while their fields are left empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.chats.slack.drawing.fields import Given
from bridge.core.configuring.configuration import GithubSource, GitlabSource, GitSource
from bridge.core.configuring.difference import Configured, masked
from bridge.core.configuring.row import stored_of
from bridge.core.watch import App, SourceType, Trigger
from bridge.ports.backends import GitAccount

KINDS = {
    SourceType.GITHUB: "GitHub",
    SourceType.GITLAB: "GitLab",
    SourceType.GIT: "Any Git repository",
    SourceType.DOCKER: "Docker image",
}


@dataclass(frozen=True, slots=True)
class SourceForm:
    """The form as somebody sees it.

    Attributes:
        now: how the app is configured, which the fields begin with.
        accounts: what the backend offers; none: all is typed.
        given: what somebody has put into the fields; it goes before `now`.
    """

    app: App
    now: Configured
    accounts: Sequence[GitAccount] = ()
    given: Given | None = None

    @property
    def kind(self) -> SourceType:
        """The kind of source that is shown."""
        chosen = (self.given or {}).get("kind")
        if chosen in KINDS:
            return SourceType(chosen)
        found = self.now.saved.provider
        return found.type if found is not None else SourceType.GITHUB

    @property
    def trigger(self) -> Trigger:
        """What makes it deploy."""
        chosen = (self.given or {}).get("trigger")
        if chosen in list(Trigger):
            return Trigger(chosen)
        return self.now.rules.trigger or self.now.saved.trigger

    @property
    def account(self) -> GitAccount | None:
        """The account that is chosen; None: repository and branch are typed."""
        mine = [one for one in self.accounts if one.type is self.kind]
        chosen = (self.given or {}).get("account") or of(self.now, self.kind, "provider_id")
        return next((one for one in mine if one.id == chosen), None)

    def value(self, name: str) -> Any:
        """What a field holds: what was put in, or else what there is."""
        if self.given is not None and name in self.given:
            return self.given[name]
        return _begins_with(self.now, self.kind, name)


def _begins_with(now: Configured, kind: SourceType, name: str) -> Any:
    """What a field holds before anybody has touched it."""
    rules, saved = now.rules, now.saved
    if name in ("path", "repository"):
        return _path(now, kind)
    if name == "url":
        return None if kept_address(now) else of(now, kind, "url")
    if name in ("password", "forget", "account"):
        return None
    found = {
        "project_id": of(now, kind, "project_id"),
        "clone": ("submodules",) if saved.submodules else (),
        "order": ("only_newer",) if rules.only_newer else (),
        "watch_paths": "\n".join(saved.watch_paths or ()),
        "branches": rules.branch,
        "tags": rules.tags,
        "versions": rules.versions,
        "tag_prefix": rules.tag_prefix,
        "prereleases": rules.prereleases,
    }
    value = found[name] if name in found else of(now, kind, name)
    return value if isinstance(value, tuple | None) else str(value)


def _path(now: Configured, kind: SourceType) -> str | None:
    match now.saved.provider:
        case GithubSource() as found if kind is SourceType.GITHUB:
            return f"{found.owner}/{found.repository}"
        case GitlabSource() as found if kind is SourceType.GITLAB:
            return found.path
        case _:
            return None


_USED_AGAIN = {"build_path", "ssh_key_id", "username", "password", "registry_url"}
"""Fields of a source not in use that nobody need name again; see `merge`."""


def of(now: Configured, kind: SourceType, name: str) -> Any:
    """A field of the app's source, where that is of a kind; else what a save would use again."""
    found = now.saved.provider
    if found is not None and found.type is kind:
        return getattr(found, name, None)
    row = now.saved.row
    return stored_of(row, kind).get(name) if row is not None and name in _USED_AGAIN else None


def kept_address(now: Configured) -> str | None:
    """A clone address that holds a password or token, without it; None where it holds none."""
    found = now.saved.provider
    if not isinstance(found, GitSource):
        return None
    shown = str(masked(found.url))
    return shown if shown != found.url else None
