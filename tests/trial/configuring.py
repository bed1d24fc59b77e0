"""Scenarios of configuring: set, compare, undo and compare each source, build and environment.

A change is compared with Dokploy's whole row, column by column:

- the row holds the new values;
- the difference that was shown names every column that changed, so that no field of another
  source is blanked silently;
- after `provider undo` the row is as before, except for secrets that were announced as lost.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.trial.database import Row
from tests.trial.dokploy import Service
from tests.trial.journeys import a_stack
from tests.trial.repositories import Repo
from tests.trial.scene import Scene, Trial
from tests.trial.stage import Scenario, Unfit, application

NAMES = {
    "source": "sourceType",
    "watch_paths": "watchPaths",
    "submodules": "enableSubmodules",
    "trigger": "triggerType",
    "build_type": "buildType",
    "static_spa": "isStaticSpa",
    "image": "dockerImage",
    "url": "customGitUrl",
    "ssh_key_id": "customGitSSHKeyId",
    "path": "gitlabPathNamespace",
}
"""Columns that have another name in the bridge; all others differ in spelling only."""

SHARED = {"branch", "owner", "repository", "buildpath", "projectid", "id"}
"""Fields that each kind of source has a column of: `branch`, `gitlabBranch`, …"""

SECTIONS = {"env": "env", "build_args": "buildArgs", "build_secrets": "buildSecrets"}
SECRET = re.compile("^(password|env|buildArgs|buildSecrets)$")
"""Columns that are never shown."""

ENCRYPTED = "enc:"
"""Prefix of an encrypted value; Dokploy encrypts it differently each time."""

NOT_SET = {"applicationStatus", "composeStatus"}
"""Columns that are no configuration; any save sets them."""

DORMANT: Mapping[str, Any] = {
    "dockerImage": "registry.example.com/trial:1",
    "username": "robot",
    "password": "hunter2-of-the-trial",
    "registryUrl": "registry.example.com",
    "owner": "acme",
    "repository": "site",
    "branch": "stable",
    "buildPath": "/site",
    "gitlabOwner": "grp",
    "gitlabRepository": "api",
    "gitlabBranch": "stable",
    "gitlabBuildPath": "/api",
    "gitlabProjectId": 4711,
    "gitlabPathNamespace": "grp/api",
    "customGitBuildPath": "/web",
}
"""Fields of every source at once, as an app has them that was moved around."""

Words = tuple[str, ...]


def stored(trial: Trial, name: str) -> tuple[Service, Repo]:
    """Make an application with stored fields of every kind of source."""
    made, repo = application(trial, name)
    trial.dokploy.post(
        "application.update",
        applicationId=made.id,
        **DORMANT,
        **_accounts(trial),
        triggerType="tag",
    )
    trial.dokploy.clone_from(
        made.id, repo.clone_url, customGitBuildPath="/web", watchPaths=["web/**"]
    )
    return made, repo


# ── one change ───────────────────────────────────────────────────────────────


def set_and_undo(*words: str, **columns: Any) -> Callable[[Scene], None]:
    """Return the scenario of a command after which the columns hold these values."""

    def act(scene: Scene) -> None:
        change_and_undo(scene, words, columns)

    return act


def change_and_undo(
    scene: Scene, words: Words, columns: Mapping[str, Any], stdin: str = ""
) -> None:
    """Change, compare, undo, compare."""
    before = _row(scene)
    shown = _changed(scene, words, stdin)
    if shown is None:
        return
    after = _row(scene)
    for name, value in columns.items():
        real = after[name]
        scene.expect(_plain(real) == _plain(value), f"{name} is {real!r}, not {value!r}")
    _compare_shown(scene, shown, before, after)
    undo = _changed(scene, ("provider", "undo"), "")
    if undo is None:
        return
    again = _row(scene)
    lost = f"{shown['remarks']} {undo['remarks']}"
    for name in _differing(before, again):
        if name == "password" and "password" in lost:
            continue
        scene.expect(
            False, f"after the undo {name} is {_hidden(name, again)}, was {_hidden(name, before)}"
        )


def _changed(scene: Scene, words: Words, stdin: str) -> Any:
    try:
        return scene.trial.bridge.json(*_with_app(scene, words), "--yes", stdin=stdin)
    except RuntimeError as error:
        scene.expect(False, str(error))
        return None


def _with_app(scene: Scene, words: Words) -> Words:
    """Put the app behind the command's words: `provider set git APP --branch …`."""
    options = next((n for n, word in enumerate(words) if word.startswith("-") or "=" in word), 99)
    return (*words[:options], scene.service.label, *words[options:])


def _compare_shown(scene: Scene, shown: Any, before: Row, after: Row) -> None:
    lines = shown["difference"]
    fields = ", ".join(one["field"] for one in lines) or "nothing"
    for name in _differing(before, after):
        scene.expect(
            any(_is_about(line, name, before, after) for line in lines),
            f"{name} changed from {_hidden(name, before)} to {_hidden(name, after)},"
            f" and the difference has only {fields}",
        )


def _is_about(line: Mapping[str, Any], column: str, before: Row, after: Row) -> bool:
    """Return whether a line of the difference shows a column's change.

    When the kind of source changes, `before` is the old source's field of the same name.
    """
    if not _names(line["field"], column):
        return False
    if SECRET.search(column):
        return True
    if column == "sourceType" and line["after"] is None:
        return (
            _plain(after["owner"]) is None
        )  # without a source Dokploy stores GitHub and no repository
    switched = _plain(before["sourceType"]) != _plain(after["sourceType"]) and line["after"]
    told = switched or _same(line["before"], before[column])
    return bool(told) and _same(line["after"], after[column])


def _same(said: Any, real: Any) -> bool:
    """Return whether a shown value is the column's; an address may be masked."""
    return _plain(said) == _plain(real) or "***" in str(said)


def _names(field: str, column: str) -> bool:
    """Return whether a line's field is the column, or the field of its source's kind."""
    section, _, last = field.rpartition(".")
    if section in SECTIONS:
        return SECTIONS[section] == column
    if NAMES.get(last) == column:
        return True
    said, real = _spelt(last), _spelt(column)
    return said == real or (said in SHARED and real.removeprefix("custom").endswith(said))


def _spelt(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).replace("providerid", "id")


# ── rows ─────────────────────────────────────────────────────────────────────


def _row(scene: Scene) -> Row:
    """Return the whole row; encrypted columns come decrypted from Dokploy's API."""
    trial, service = scene.trial, scene.service
    row = trial.database.service(service.kind, service.id)
    id_ = {f"{service.kind}Id": service.id}
    read = trial.dokploy.get(f"{service.kind}.one", **id_)
    return {
        name: read[name] if str(value).startswith(ENCRYPTED) else value
        for name, value in row.items()
    }


def _differing(before: Row, after: Row) -> list[str]:
    return [
        name
        for name in before
        if name not in NOT_SET and _plain(before[name]) != _plain(after[name])
    ]


def _plain(value: Any) -> Any:
    """Return the value, or None for values that mean the same: "", [] and the root path."""
    return None if value in ("", "/", []) else value


def _hidden(name: str, row: Row) -> str:
    return ("set" if row[name] else "empty") if name == "password" else repr(row[name])


# ── sources ──────────────────────────────────────────────────────────────────


def github(scene: Scene) -> None:
    account = _account(scene, "github")
    words: Words = ("provider", "set", "github", "--owner", "acme", "--repository", "site")
    words += ("--branch", "dev", "--account", account, "--build-path", "/web")
    words += ("--watch", "web/**", "--watch", "!**/*.md", "--submodules", "--trigger", "push")
    columns = {"sourceType": "github", "owner": "acme", "repository": "site", "branch": "dev"}
    columns |= {"githubId": account, "buildPath": "/web", "triggerType": "push"}
    more = {"watchPaths": ["web/**", "!**/*.md"], "enableSubmodules": True}
    change_and_undo(scene, words, columns | more)


def gitlab(scene: Scene) -> None:
    account = _account(scene, "gitlab")
    words: Words = ("provider", "set", "gitlab", "--owner", "team", "--repository", "shop")
    words += ("--branch", "dev", "--account", account, "--project-id", "42")
    words += ("--path", "team/shop", "--watch", "src/**")
    columns: dict[str, Any] = {
        "sourceType": "gitlab",
        "gitlabOwner": "team",
        "gitlabRepository": "shop",
    }
    columns |= {"gitlabBranch": "dev", "gitlabId": account, "gitlabProjectId": 42}
    more = {"gitlabPathNamespace": "team/shop", "watchPaths": ["src/**"]}
    change_and_undo(scene, words, columns | more)


def git(scene: Scene) -> None:
    url = f"{scene.repo.clone_url}-moved"
    words = ("provider", "set", "git", "--url", url, "--branch", "dev", "--build-path", "/")
    columns = {"sourceType": "git", "customGitUrl": url, "customGitBranch": "dev"}
    change_and_undo(scene, (*words, "--submodules"), columns | {"enableSubmodules": True})


def docker(scene: Scene) -> None:
    words: Words = ("provider", "set", "docker", "--image", "busybox:2", "--username", "ann")
    words += ("--registry-url", "registry.example.org", "--password-stdin")
    columns = {"sourceType": "docker", "dockerImage": "busybox:2", "username": "ann"}
    secret = {"registryUrl": "registry.example.org", "password": "another-secret"}
    change_and_undo(scene, words, columns | secret, stdin="another-secret\n")


def image_alone(scene: Scene) -> None:
    """Change the image alone: user, password and registry stay."""
    source = {name: DORMANT[name] for name in ("username", "password", "registryUrl")}
    scene.trial.dokploy.post(
        "application.saveDockerProvider",
        **{"applicationId": scene.service.id, "dockerImage": "busybox:1"} | source,
    )
    words: Words = ("provider", "set", "docker", "--image", "busybox:2")
    change_and_undo(scene, words, {"dockerImage": "busybox:2"} | source)


def _account(scene: Scene, host: str) -> str:
    found = _accounts(scene.trial).get(f"{host}Id")
    if found is None:
        raise Unfit(f"Dokploy has no {host} account")
    return found


def _accounts(trial: Trial) -> dict[str, str]:
    """Return the id of Dokploy's first account of each host, by column."""
    found = {}
    for host in ("github", "gitlab"):
        if accounts := trial.dokploy.get(f"{host}.{host}Providers"):
            found[f"{host}Id"] = accounts[0][f"{host}Id"]
    return found


# ── build and environment ────────────────────────────────────────────────────


def environment(scene: Scene) -> None:
    """Set variables, remove one, and set a build secret; each is undone."""
    before = "A=1\n# kept\nB=two words\n"
    sections = {"buildArgs": "V=1", "buildSecrets": "S=2", "createEnvFile": True}
    scene.trial.dokploy.post(
        "application.saveEnvironment", applicationId=scene.service.id, env=before, **sections
    )
    words: Words = ("env", "set", "A=9", "C=3", "--build-arg", "V=2", "--no-env-file")
    columns = {"env": "A=9\n# kept\nB=two words\nC=3", "buildArgs": "V=2"}
    change_and_undo(scene, words, columns | {"createEnvFile": False, "buildSecrets": "S=2"})
    change_and_undo(scene, ("env", "set", "--unset", "B"), {"env": "A=1\n# kept"})
    words = ("env", "set", "--build-secret", "S")
    change_and_undo(scene, words, {"buildSecrets": "S=new"}, stdin="new\n")


def build(scene: Scene) -> None:
    """Set each build type with its own fields."""
    for words, columns in BUILDS:
        change_and_undo(scene, ("build", "set", *words), columns)


BUILDS: list[tuple[Words, dict[str, Any]]] = [
    (
        (
            *("--type", "dockerfile", "--dockerfile", "docker/Web"),
            *("--docker-context", "web", "--docker-stage", "final"),
        ),
        {
            "buildType": "dockerfile",
            "dockerfile": "docker/Web",
            "dockerContextPath": "web",
            "dockerBuildStage": "final",
        },
    ),
    (("--type", "nixpacks"), {"buildType": "nixpacks"}),
    (
        ("--type", "railpack", "--railpack-version", "0.15.4"),
        {"buildType": "railpack", "railpackVersion": "0.15.4"},
    ),
    (
        ("--type", "heroku_buildpacks", "--heroku-version", "22"),
        {"buildType": "heroku_buildpacks", "herokuVersion": "22"},
    ),
    (("--type", "paketo_buildpacks"), {"buildType": "paketo_buildpacks"}),
    (
        ("--type", "static", "--publish", "dist", "--spa"),
        {"buildType": "static", "publishDirectory": "dist", "isStaticSpa": True},
    ),
]

CONFIGURING = [
    Scenario("set-github", github, stored),
    Scenario("set-gitlab", gitlab, stored),
    Scenario("set-git", git, stored),
    Scenario("set-docker", docker, stored),
    Scenario("set-image", image_alone, stored),
    Scenario(
        "set-watch-paths",
        set_and_undo(*("provider", "set", "git", "--watch", "a/**"), watchPaths=["a/**"]),
        stored,
    ),
    Scenario("disconnect", set_and_undo("provider", "disconnect"), stored),
    Scenario(
        "set-stack-branch",
        set_and_undo(*("provider", "set", "git", "--branch", "dev"), customGitBranch="dev"),
        a_stack,
    ),
    Scenario(
        "set-stack-trigger",
        set_and_undo(*("provider", "set", "git", "--trigger", "tag", "--branch", "dev")),
        a_stack,
    ),
    Scenario("set-build", build),
    Scenario("set-environment", environment),
]
