"""The form of an app's source and of when it deploys. Pure.

It never contains secrets: a registry password and an address with credentials stay as they are if
their fields are left empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    BLOCK_ID,
    INITIAL_TEXT,
    NONE,
    Block,
    Given,
    choice_field,
    context,
    name_of,
    search_field,
    text_field,
    ticks_field,
)
from bridge.core.apps import App, AppKind, SourceType, Trigger
from bridge.core.configuration.configuration import (
    GiteaSource,
    GithubSource,
    GitlabSource,
    GitSource,
    used_again,
)
from bridge.core.configuration.difference import Configured, masked, rule_value
from bridge.core.configuration.fields import FIELDS
from bridge.core.configuration.merge import RULE_OF, WantedSource, checked_remote
from bridge.ports.backends import GitAccount, GitRepository

KINDS = {
    SourceType.GITHUB: "GitHub",
    SourceType.GITLAB: "GitLab",
    SourceType.GITEA: "Gitea or Forgejo",
    SourceType.GIT: "Any Git repository",
    SourceType.DOCKER: "Docker image",
}

BY_PATH = frozenset({SourceType.GITHUB, SourceType.GITEA})
"""Kinds whose repositories are named by owner and name alone."""


@dataclass(frozen=True, slots=True)
class SourceForm:
    """The form as a person sees it.

    Attributes:
        now: the app's configuration, for the initial values.
        accounts: the backend's accounts; without any, everything is typed.
        given: the input so far; it overrides `now`.
    """

    app: App
    now: Configured
    accounts: Sequence[GitAccount] = ()
    given: Given | None = None

    @property
    def kind(self) -> SourceType:
        """Return the kind of source that is shown."""
        chosen = (self.given or {}).get("kind")
        if chosen in KINDS:
            return SourceType(chosen)
        found = self.now.saved.provider
        return found.type if found is not None else SourceType.GITHUB

    @property
    def trigger(self) -> Trigger:
        """Return the shown trigger."""
        chosen = (self.given or {}).get("trigger")
        if chosen in list(Trigger):
            return Trigger(chosen)
        return self.now.rules.trigger or self.now.saved.trigger

    @property
    def account(self) -> GitAccount | None:
        """Return the chosen account; None if repository and branch are typed."""
        mine = [one for one in self.accounts if one.type is self.kind]
        chosen = (self.given or {}).get("account") or of(self.now, self.kind, "provider_id")
        return next((one for one in mine if one.id == chosen), None)

    def value(self, name: str) -> Any:
        """Return a field's value: the input, else the present value."""
        if self.given is not None and name in self.given:
            return self.given[name]
        return _begins_with(self.now, self.kind, name)


def _begins_with(now: Configured, kind: SourceType, name: str) -> Any:
    """Return a field's initial value."""
    rules, saved = now.rules, now.saved
    match name:
        case "path" | "repository":
            return _path(now, kind)
        case "url" if kept_address(now):
            return None
        case "password" | "forget" | "account":
            return None
        case "clone":
            return ("submodules",) if saved.submodules else ()
        case "order":
            return ("only_newer",) if rules.only_newer else ()
        case "watch_paths":
            return "\n".join(saved.watch_paths or ())
    value = getattr(rules, RULE_OF[name]) if name in RULE_OF else of(now, kind, name)
    return None if value is None else str(rule_value(value))


def _path(now: Configured, kind: SourceType) -> str | None:
    match now.saved.provider:
        case GithubSource() | GiteaSource() as found if kind is found.type:
            return f"{found.owner}/{found.repository}"
        case GitlabSource() as found if kind is SourceType.GITLAB:
            return found.path
        case _:
            return None


def of(now: Configured, kind: SourceType, name: str) -> Any:
    """Return a field of the app's source of that kind, else the value that a save would reuse."""
    found = now.saved.provider
    if found is not None and found.type is kind:
        return getattr(found, name, None)
    row = now.saved.row
    return used_again(row, kind).get(name) if row is not None else None


def kept_address(now: Configured) -> str | None:
    """Return a clone address without its password or token; None if it has neither."""
    found = now.saved.provider
    if not isinstance(found, GitSource):
        return None
    shown = str(masked(found.url))
    return shown if shown != found.url else None


# ── Fields ────────────────────────────────────────────────────────────────────────────────────────

KEPT = "Kept as it is"


def _typed(form: SourceForm, name: str, group: str | None = None, **others: Any) -> Block:
    """Return a text field; a secret is never shown."""
    one = FIELDS[name]
    words: dict[str, Any] = {
        "hint": one.hint,
        "placeholder": one.example,
        "optional": not one.required,
    }
    value = None if one.secret else form.value(name)
    return text_field(f"{group or form.kind}.{name}", one.label, value, **(words | others))


def _ticks(form: SourceForm, block: str, title: str, name: str) -> Block:
    """Return a checkbox for a field."""
    ticked = form.value(name_of(block)) or ()
    return ticks_field(block, title, [(name, FIELDS[name].label)], ticked)


def source_fields(form: SourceForm) -> list[Block]:
    """Return the fields of the form."""
    kinds = [
        (kind.value, words)
        for kind, words in KINDS.items()
        if form.app.kind is AppKind.APPLICATION or kind is not SourceType.DOCKER
    ]
    blocks = [choice_field("source.kind", "Comes from", kinds, form.kind.value, redraws=True)]
    match form.kind:
        case SourceType.DOCKER:
            return [*blocks, *_image(form), _verified(form)]
        case SourceType.GIT:
            blocks += _address(form)
        case _:
            blocks += _hosted(form)
    return blocks + _folder(form) + _when(form)


def _hosted(form: SourceForm) -> list[Block]:
    kind = form.kind
    mine = [(one.id, one.name) for one in form.accounts if one.type is kind]
    blocks: list[Block] = []
    account = form.account
    if mine:
        chosen = account.id if account else NONE
        choices = [*mine, (NONE, "Type it in")]
        title = f"{KINDS[kind]} account"
        blocks.append(choice_field(f"{kind}.account", title, choices, chosen, redraws=True))
    if account is None:
        return blocks + _named(form)
    repository = form.value("repository") or form.value("path")
    blocks.append(
        search_field(
            f"{kind}.repository|{account.id}",
            FIELDS["repository"].label,
            names.PROVIDER_REPOSITORY,
            repository,
            redraws=True,
        )
    )
    of = f"{kind}.branch|{account.id}|{repository or ''}"
    if repository and len(of) <= BLOCK_ID:
        branch = form.value("branch")
        blocks.append(search_field(of, FIELDS["branch"].label, names.PROVIDER_BRANCH, branch))
    else:
        blocks.append(_typed(form, "branch"))
    return blocks


def _named(form: SourceForm) -> list[Block]:
    """Return the fields of a repository without a known account, all typed."""
    if form.kind in BY_PATH:
        return [_typed(form, "path", placeholder="my-org/mono"), _typed(form, "branch")]
    return [_typed(form, name) for name in ("path", "project_id", "branch")]


def _address(form: SourceForm) -> list[Block]:
    kept = kept_address(form.now)
    secret: dict[str, Any] = {"placeholder": f"{KEPT}: {kept}", "optional": True} if kept else {}
    return [_typed(form, "url", **secret), _typed(form, "branch"), _typed(form, "ssh_key_id")]


def _image(form: SourceForm) -> list[Block]:
    blocks = [_typed(form, name) for name in ("image", "registry_url", "username")]
    if of(form.now, SourceType.DOCKER, "password") is None:
        return [*blocks, _typed(form, "password")]
    forget = [("password", "Remove the password")]
    return [
        *blocks,
        _typed(form, "password", placeholder=KEPT),
        ticks_field("docker.forget", "Its password", forget, ()),
    ]


def _folder(form: SourceForm) -> list[Block]:
    clone = _ticks(form, f"{form.kind}.clone", "Cloning", "submodules")
    return [_typed(form, "build_path"), clone] if form.app.kind is AppKind.APPLICATION else [clone]


def _when(form: SourceForm) -> list[Block]:
    """Return the fields of when it deploys; all kinds share block ids, so input survives."""
    one, chosen = FIELDS["trigger"], form.trigger.value
    choices = list(one.choices.items())
    trigger = choice_field("when.trigger", one.label, choices, chosen, redraws=True)
    on = _on_pushes(form) if form.trigger is Trigger.PUSH else _on_tags(form)
    return [trigger, *on, _verified(form)]


def _verified(form: SourceForm) -> Block:
    return _typed(form, "verify", "when")


def _on_pushes(form: SourceForm) -> list[Block]:
    branches = _typed(form, "branches", "when", tried=True)
    if len(form.value("watch_paths") or "") > INITIAL_TEXT:
        long = "Its watch paths are too long for Slack: change them on the command line."
        return [branches, context(long)]
    return [branches, _typed(form, "watch_paths", "when", lines=True, tried=True)]


def _on_tags(form: SourceForm) -> list[Block]:
    one = FIELDS["prereleases"]
    choices = [(NONE, "As usual"), *one.choices.items()]
    chosen = form.value("prereleases") or NONE
    return [
        _typed(form, "tags", "when", tried=True),
        _typed(form, "versions", "when", tried=True),
        _typed(form, "tag_prefix", "when"),
        choice_field("when.prereleases", one.label, choices, chosen),
        _ticks(form, "when.order", "Order", "only_newer"),
    ]


# ── Reading the form ──────────────────────────────────────────────────────────────────────────────


def source_wanted(form: SourceForm, picked: GitRepository | None = None) -> WantedSource:
    """Return the requested change; an empty field requests nothing, or removes a value.

    Args:
        picked: the repository that was chosen from a list, if any.
    """
    kind = form.kind
    if kind is SourceType.DOCKER:
        return WantedSource(kind, _wanted_image(form) | {"verify": _text(form, "verify")})
    fields: dict[str, Any] = _wanted_place(form, picked)
    fields |= {
        "verify": _text(form, "verify"),
        "branch": _text(form, "branch"),
        "submodules": "submodules" in _ticked(form, "clone"),
    }
    if form.app.kind is AppKind.APPLICATION:
        fields["build_path"] = _text(form, "build_path")
    fields["trigger"] = form.trigger.value
    if form.trigger is Trigger.PUSH:
        fields["branches"] = _text(form, "branches")
        if form.given is None or "watch_paths" in form.given:  # else it was too long to show
            lines = (_text(form, "watch_paths") or "").splitlines()
            fields["watch_paths"] = tuple(line.strip() for line in lines if line.strip()) or None
    else:
        fields |= {name: _text(form, name) for name in ("tags", "versions", "tag_prefix")}
        policy = form.value("prereleases")
        fields["prereleases"] = None if policy in (NONE, None) else policy
        fields["only_newer"] = "only_newer" in _ticked(form, "order") or None
    return WantedSource(kind, fields)


def _wanted_place(form: SourceForm, picked: GitRepository | None) -> dict[str, Any]:
    kind = form.kind
    if kind is SourceType.GIT:
        fields: dict[str, Any] = {"ssh_key_id": _text(form, "ssh_key_id")}
        url = _text(form, "url")
        if url != of(form.now, kind, "url"):
            checked_remote(url)
        return fields | ({"url": url} if url or not kept_address(form.now) else {})
    if picked is not None and form.account is not None:
        fields = {"owner": picked.owner, "repository": picked.name, "provider_id": form.account.id}
        gitlab = {"path": picked.path, "project_id": picked.id}
        return fields | (gitlab if kind is SourceType.GITLAB else {})
    path = (_text(form, "path") or "").strip("/")
    if kind is SourceType.GITLAB:
        return _typed_gitlab(form, path)
    owner, _, name = path.rpartition("/")
    fields = {"owner": owner, "repository": name}
    provider = form.now.saved.provider
    known = provider is not None and provider.type is kind
    return fields if known else fields | {"provider_id": None}


def _typed_gitlab(form: SourceForm, path: str) -> dict[str, Any]:
    """Return GitLab's owner: the last group of a path, unless another one is already set."""
    fields: dict[str, Any] = {"path": path, "project_id": _text(form, "project_id")}
    if path != of(form.now, SourceType.GITLAB, "path"):
        group, _, name = path.rpartition("/")
        fields |= {"owner": group.rpartition("/")[2], "repository": name}
    return fields


def _wanted_image(form: SourceForm) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: _text(form, name) for name in ("image", "registry_url", "username")
    }
    if password := (form.given or {}).get("password"):
        fields["password"] = SecretStr(password)
    elif "password" in _ticked(form, "forget"):
        fields["password"] = None
    return fields


def block_of(field: str, view: Mapping[str, Any]) -> str:
    """Return the block beside which to show an error about a field; the first by default."""
    ids = [str(block.get("block_id", "")) for block in view.get("blocks", ())]
    inputs = {name_of(id_): id_ for id_ in reversed(ids) if "." in id_}
    for name in (field, *BESIDE.get(field, ())):
        if name in inputs:
            return inputs[name]
    return next(reversed(inputs.values()), "")


BESIDE = {
    "provider_id": ("account", "path", "repository"),
    "owner": ("path", "repository"),
    "repository": ("path",),
    "path": ("repository",),
    "project_id": ("repository",),
    "only_newer": ("order",),
    "submodules": ("clone",),
}
"""Fields with other names in the form."""


def _text(form: SourceForm, name: str) -> str | None:
    value = form.value(name)
    return str(value).strip() or None if value is not None else None


def _ticked(form: SourceForm, name: str) -> Sequence[str]:
    return tuple(form.value(name) or ())
