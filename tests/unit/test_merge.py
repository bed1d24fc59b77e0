"""What was asked, laid over what is saved: only that changes, and no secret is ever told."""

from dataclasses import asdict, replace
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bridge.core.apps import Prereleases, Rules, SourceType, Trigger
from bridge.core.configuration.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GiteaSource,
    GithubSource,
    GitlabSource,
    GitSource,
    Saved,
    SourceRow,
    with_provider,
)
from bridge.core.configuration.difference import Changed, Configured, difference, shown
from bridge.core.configuration.merge import (
    NoSource,
    Wanted,
    WantedBuild,
    WantedSource,
    WantedVariables,
    checked_image,
    checked_remote,
    merge,
)
from bridge.core.errors import Rejected, Unfit
from bridge.core.variables import assignment
from tests.worlds.rows import each_row

PATHS = ("apps/web/**", "!**/*.md")
GITHUB = GithubSource(
    owner="my-org", repository="mono", branch="main", provider_id="gh_1", watch_paths=PATHS,
    submodules=True, trigger=Trigger.TAG,
)  # fmt: skip
GITLAB = GitlabSource(
    owner="sub", repository="mono", branch="main", provider_id="gl", project_id=7, path="g/sub/mono"
)
GIT = GitSource(url="https://me:hunter2@example.com/a.git", branch="main", watch_paths=("a/**",))
DOCKER = DockerSource(image="web:1", username="me", password=SecretStr("hunter2"))
STATIC = BuildType(build_type="static", publish_directory="dist")
ENV = "# ours\nA=1\nB='two words'\nC=\"x\ny\"\nA=2\n"


def configured(provider: Any = GITHUB, rules: Rules | None = None, **others: Any) -> Configured:
    shared = ("watch_paths", "submodules", "trigger")
    held = {name: getattr(provider, name) for name in shared if hasattr(provider, name)}
    saved = Saved(provider, STATIC, Environment(env=SecretStr(ENV)), **held)
    return Configured(replace(saved, **others), rules or Rules())


def row_with(*sources: Any) -> SourceRow:
    """A row in which sources are stored; the last one is in use."""
    return reduce(lambda row, one: with_provider(row, None, one), sources, SourceRow())


def source(type_: SourceType | None = None, /, **fields: Any) -> WantedSource:
    return WantedSource(type_, fields)


# ── where the code comes from ────────────────────────────────────────────────


def test_another_kind_of_source_keeps_what_all_kinds_share() -> None:
    now = configured()

    new = merge(now, source(SourceType.GIT, url="https://example.com/b", branch="main"))

    assert new.saved.provider == GitSource(
        url="https://example.com/b", branch="main", watch_paths=PATHS, submodules=True
    )
    assert new.saved.trigger is Trigger.PUSH  # a stored trigger counts for GitHub alone
    assert difference(now, new) == (
        Changed("source", "github", "git"), Changed("owner", "my-org", None),
        Changed("repository", "mono", None), Changed("provider_id", "gh_1", None),
        Changed("trigger", "tag", "push"), Changed("url", None, "https://example.com/b"),
    )  # fmt: skip


def test_credentials_and_folders_that_are_stored_are_used_again_and_shown() -> None:
    deep = GIT.model_copy(update={"build_path": "/deep", "ssh_key_id": "key_1"})
    now = configured(row=row_with(DOCKER, deep, GITHUB))

    image = merge(now, source(SourceType.DOCKER, image="web:2"))
    assert image.saved.provider == DOCKER.model_copy(update={"image": "web:2"})
    assert {
        Changed("password", None, "set"),
        Changed("image", "web:1", "web:2"),
        Changed("owner", "my-org", "not in use"),  # not emptied: it stays stored
    } <= set(difference(now, image))
    fields = {"owner": "my-org", "repository": "mono", "branch": "main", "provider_id": "gh_1"}
    assert merge(image, WantedSource(SourceType.GITHUB, fields)).saved.provider == GITHUB

    address = merge(now, source(SourceType.GIT, url="https://example.com/b", branch="dev"))
    kept = address.saved.provider
    assert isinstance(kept, GitSource)
    assert (kept.build_path, kept.ssh_key_id) == ("/deep", "key_1")
    assert Changed("build_path", "/", "/deep") in difference(now, address)
    with pytest.raises(Rejected, match="needs branch too"):  # no branch of an older repository
        merge(now, source(SourceType.GIT, url="https://example.com/b"))


def test_what_is_stored_for_a_source_not_in_use_is_shown_where_it_is_lost() -> None:
    old = GIT.model_copy(update={"branch": "old"})
    now = configured(row=row_with(old, DOCKER, GITHUB))

    gone = difference(now, merge(now, NoSource()))
    assert [one for one in gone if one.field.startswith("stored.")] == [
        Changed("stored.git.url", "https://***@example.com/a.git", None),
        Changed("stored.git.branch", "old", None),
    ]  # the image and its password stay stored
    image = configured(DOCKER, row=row_with(DOCKER))
    assert Changed("password", "set", "not in use") in difference(image, merge(image, NoSource()))

    address = source(SourceType.GIT, url="https://example.com/b", branch="dev")
    assert Changed("stored.git.branch", "old", "dev") in difference(now, merge(now, address))


GITEA = GiteaSource(owner="old", repository="mono", branch="main", provider_id="ga")
HAD: list[tuple[Any, dict[str, str], str]] = [
    (GITHUB, {"branch": "other"}, "owner my-org, repository mono, provider_id gh_1"),
    (
        GITLAB, {"branch": "other"},
        "owner sub, repository mono, provider_id gl, project_id 7, path g/sub/mono",
    ),
    (GITEA, {"branch": "other"}, "owner old, repository mono, provider_id ga"),
    (GIT, {"branch": "other"}, "url https://***@example.com/a.git"),
    (DOCKER, {"registry_url": "ghcr.io"}, "image web:1"),
]  # fmt: skip


@each_row(("before", "fields", "had"), HAD)
def test_a_source_of_before_is_named_and_never_used_by_itself(before, fields, had) -> None:
    kind = SourceType(before.type)
    now = configured(DOCKER if before is not DOCKER else GIT, row=row_with(before))

    with pytest.raises(Rejected) as refused:
        merge(now, WantedSource(kind, fields))

    assert str(refused.value).endswith(
        f"too: name them; what it had when its source was {kind} ({had}) is used only where it is"
        " named again"
    )


def test_credentials_of_one_registry_are_not_used_for_another() -> None:
    stored = DOCKER.model_copy(update={"registry_url": "registry.example.com"})
    now = configured(row=row_with(stored, GITHUB))

    same = merge(now, source(SourceType.DOCKER, image="web:2"))
    other = merge(now, source(SourceType.DOCKER, image="web:2", registry_url="ghcr.io"))

    assert same.saved.provider == stored.model_copy(update={"image": "web:2"})
    assert other.saved.provider == DockerSource(image="web:2", registry_url="ghcr.io")


def test_disconnecting_forgets_what_the_backend_forgets_and_our_rules() -> None:
    now = configured(rules=Rules(tags="v*"))

    new = merge(now, NoSource())

    assert (new.saved.provider, new.saved.watch_paths, new.rules) == (None, None, Rules())
    assert Changed("rules.tags", "v*", None) in difference(now, new)
    assert new.saved.environment == now.saved.environment


@each_row("provider", [GITLAB, GIT])
def test_a_trigger_goes_to_our_rules_only_where_the_backend_has_none(provider: Any) -> None:
    backends = merge(configured(rules=Rules(trigger=Trigger.PUSH)), source(trigger="push"))
    assert (backends.saved.trigger, backends.rules) == (Trigger.PUSH, Rules())

    now = configured(provider)
    new = merge(now, source(trigger="tag"))
    assert new == replace(now, rules=Rules(trigger=Trigger.TAG))
    assert merge(new, source(trigger="push")) == now  # as the backend has it, so nothing to say


def test_what_no_backend_can_hold_goes_to_our_rules_and_empty_takes_it_away() -> None:
    rules = Rules(
        branch="release/*", tags="v*", versions=">=1 <2", tag_prefix="v",
        prereleases=Prereleases.SKIP, only_newer=True, skip_directives=False,
    )  # fmt: skip
    asked = {name: value for name, value in asdict(rules).items() if value is not None}
    asked["branches"] = asked.pop("branch")

    new = merge(configured(), WantedSource(None, {"branch": "dev", **asked}))

    assert new.rules == rules
    assert new.saved.provider == GITHUB.model_copy(update={"branch": "dev"})
    empty = dict.fromkeys([*asked, "watch_paths", "provider_id"])
    assert merge(new, WantedSource(None, empty)).rules == Rules()


def test_one_field_or_variable_changes_and_all_others_stay() -> None:
    now = configured()
    out = merge(now, WantedBuild({"publish_directory": "out"}))
    assert difference(now, out) == (Changed("publish_directory", "dist", "out"),)

    new = merge(now, WantedVariables({"env": {"A": "A=3", "B": None, "D": "D=4"}}))
    whole = merge(now, WantedVariables(replaced={"env": "Z=1", "build_args": None}))

    assert new.saved.environment.env == SecretStr('# ours\nC="x\ny"\nA=3\nD=4')
    assert difference(now, new) == (
        Changed("env.A", "set", "changed"),
        Changed("env.B", "set", "removed"),
        Changed("env.D", None, "set"),
    )
    assert {one.field for one in difference(now, whole)} == {
        "env.A", "env.B", "env.C", "env (comments)", "env.Z",
    }  # fmt: skip


# ── what is refused, and in which words ──────────────────────────────────────


@each_row(
    ("wanted", "words"),
    [
        (source(branch="release/*"), "branch of the github source can't be .*set `b"),
        *(
            (source(branch=f"a{sign}b"), "may have letters, digits and")
            for sign in (";", "$(", "&", "|", "`", "'", '"', ">", "!")
        ),
        *(
            (source(SourceType.GIT, url=url, branch="main"), "url can't be a clone address")
            for url in ("--upload-pack=x", "ext::sh -c x", "https://a/b c", "a\nb")
        ),
        (
            source(SourceType.GITLAB, repository="mono", branch="main"),
            "needs owner, provider_id, project_id, path too",
        ),
        (
            source(SourceType.GITEA, owner="a", repository="b", branch="main"),
            "needs provider_id too",
        ),
        (source(brunch="dev"), "brunch is no field of a github source; did you mean branch"),
        (source(trigger="never"), "trigger of the github source can't be 'never': it is push or t"),
        (source(owner=None), "owner of the github source can't be empty"),
        (source(versions="one"), "versions can't be 'one'"),
        (source(tags="[" * 2000), "tags can't be .*glob"),
        (source(only_newer="perhaps"), "only_newer can't be 'perhaps': it is true or false"),
        (source(SourceType.DOCKER, image="w", tags="v*"), "tags is no field of a docker source"),
        (WantedBuild({"build_type": "bazel"}), "build_type of the build can't be 'bazel'"),
        (WantedBuild({"dockerfil": "x"}), "did you mean dockerfile"),
        (WantedVariables({"envs": {}}), "envs is no field"),
    ],
)
def test_what_can_not_be_is_rejected_with_its_remedy(wanted: Wanted, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        merge(configured(), wanted)
    with pytest.raises(Rejected, match="name its kind"):
        merge(configured(None), source(branch="main"))
    of_an_app: list[Wanted] = [WantedBuild({"dockerfile": "x"})]
    for asked in (*of_an_app, WantedVariables({"build_args": {"A": "A=1"}})):
        with pytest.raises(Rejected, match="compose"):
            merge(configured(build=None), asked)


@each_row("value", ["$(id)", "a;id", "a`id`", "a&b", "a|b", "-x", "a'b", "a>b"])
def test_what_a_shell_would_run_is_rejected(value: str) -> None:
    """Backends put it into command lines; who may configure an app may run nothing beside it."""
    address = value.replace("-x", "$(id)")  # which an address may have
    build = ("dockerfile", "docker_context_path", "publish_directory")
    asked: list[Wanted] = [WantedBuild({field: value}) for field in build]
    asked += [source(build_path=value), source(owner=value)]
    asked += [source(SourceType.GIT, url=f"https://example.com/{address}", branch="main")]
    for wanted in asked:
        with pytest.raises(Rejected, match=r"can't be what was given: .* part of a command"):
            merge(configured(), wanted)


def test_what_is_so_already_holds_up_no_other_change() -> None:
    odd = STATIC.model_copy(update={"publish_directory": "o'clock"})
    now = configured(GITHUB.model_copy(update={"branch": "a..b"}), build=odd)

    form = {"publish_directory": "o'clock", "build_type": "static"}
    other = {"branch": "a..b", "owner": "other"}

    assert merge(now, WantedBuild(form)) == now
    after = merge(now, WantedSource(SourceType.GITHUB, other))
    assert difference(now, after) == (Changed("owner", "my-org", "other"),)


def test_a_secret_that_can_not_be_is_not_repeated() -> None:
    with pytest.raises(Rejected) as caught:
        merge(configured(DOCKER), source(password=["hunter2"]))
    with pytest.raises(Rejected) as address:
        merge(configured(GIT), source(url=["https://me:hunter2@example.com"], branch="a b"))

    assert "hunter2" not in str(caught.value) + str(address.value)


# ── promises for all ─────────────────────────────────────────────────────────

NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
SECRETS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\n'\"\\"), min_size=6, max_size=20
).map(lambda text: f"s3cret{text}")
VARIABLES = st.dictionaries(NAMES, SECRETS, max_size=4)
SOURCES = st.sampled_from([GITHUB, GITLAB, GIT, DOCKER, None])


def text_of(variables: dict[str, str]) -> SecretStr | None:
    lines = [assignment(key, value) for key, value in variables.items()]
    return SecretStr("\n".join(lines)) if lines else None


TEXTS = VARIABLES.map(text_of)
ENVIRONMENTS = st.builds(Environment, env=TEXTS, build_args=TEXTS, build_secrets=TEXTS)
RULES = st.sampled_from([Rules(), Rules(tags="v*")])
CONFIGURATIONS = st.builds(configured, SOURCES, RULES, environment=ENVIRONMENTS)


@given(CONFIGURATIONS, CONFIGURATIONS)
def test_merging_nothing_changes_nothing_and_what_is_told_holds_no_secret(before, after) -> None:
    for wanted in (WantedSource(), WantedBuild(), WantedVariables()):
        assert merge(before, wanted) == before
    told = repr(difference(before, after)) + repr(shown(before)) + repr(shown(after))

    assert "s3cret" not in told
    assert "hunter2" not in told
    assert (difference(before, after) == ()) == (before == after)


def test_credentials_that_change_are_told_as_changed_and_empty_is_none_to_a_backend() -> None:
    bare = configured(DOCKER.model_copy(update={"username": ""}), watch_paths=())
    none = configured(DOCKER.model_copy(update={"username": None}), watch_paths=None)
    assert difference(bare, none) == ()

    now = configured(GIT)

    (change,) = difference(now, merge(now, source(url="https://me:other@example.com/a.git")))

    shown = "https://***@example.com/a.git"
    assert change == Changed("url", shown, f"{shown} (its credentials changed)")


@each_row(
    "url",
    [
        "file:///etc", "/etc", "../x", "ext::sh -c x", "-oProxyCommand=x", "https://", "a b",
        "C:/x", "fd::3", "git@host:/\n", "localhost", "javascript:x", "ssh://-oX", "file:etc",
    ],
)  # fmt: skip
def test_an_address_leads_to_a_git_server_or_may_not_be_set(url: str) -> None:
    with pytest.raises(Unfit) as caught:
        checked_remote(url)

    assert caught.value.field == "url"
    for good in ("https://host/o/r.git", "ssh://git@host/o/r", "git@host:o/r.git", "git://host/r"):
        checked_remote(good)


@each_row("image", ["--privileged", "a b", "-", "a\nb", "a;b", "$(x)"])
def test_what_docker_would_take_for_something_else_is_no_image(image: str) -> None:
    with pytest.raises(Unfit, match="image can't be"):
        checked_image(image)
    for good in ("nginx", "ghcr.io/o/n:1.2@sha256:ab", "localhost:5000/a_b:v1"):
        checked_image(good)


@each_row(
    ("field", "value", "words"),
    [
        ("tags", "refs/tags/v*", "write `v*`"),
        ("tag_prefix", "refs/tags/v", "write 'v'"),
        ("tags", "v 1", "no tag has a space in its name"),
        ("tag_prefix", "api v", "no tag has a space in its name"),
        ("branches", "release~*", "no branch has `~` in its name"),
        ("branch", "refs/heads/main", "write 'main'"),
        ("branch", "a..b", "can't be a branch"),
        ("versions", ">2 <1", "it contains no version"),
    ],
)
def test_what_no_push_could_ever_match_is_not_saved(field: str, value: str, words: str) -> None:
    with pytest.raises(Unfit) as caught:
        merge(configured(), WantedSource(SourceType.GITHUB, {field: value}))

    assert caught.value.field == field
    assert words in str(caught.value)
