"""What was asked, laid over what is saved: only that changes, and no secret is ever told."""

from dataclasses import replace
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
    changes,
    fields_of,
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
    owner="my-org",
    repository="mono",
    branch="main",
    provider_id="gh_1",
    watch_paths=PATHS,
    submodules=True,
    trigger=Trigger.TAG,
)
GITLAB = GitlabSource(
    owner="sub", repository="mono", branch="main", provider_id="gl", project_id=7, path="g/sub/mono"
)
GIT = GitSource(url="https://me:hunter2@example.com/a.git", branch="main", watch_paths=("a/**",))
DOCKER = DockerSource(image="web:1", username="me", password=SecretStr("hunter2"))
STATIC = BuildType(build_type="static", publish_directory="dist")
ENV = "# ours\nA=1\nB='two words'\nC=\"x\ny\"\nA=2\n"


def configured(provider: Any = GITHUB, rules: Rules | None = None, **others: Any) -> Configured:
    saved = Saved(
        provider,
        STATIC,
        Environment(env=SecretStr(ENV)),
        watch_paths=getattr(provider, "watch_paths", None),
        submodules=getattr(provider, "submodules", False),
        trigger=getattr(provider, "trigger", Trigger.PUSH),
    )
    return Configured(replace(saved, **others), rules or Rules())


def row_with(*sources: Any) -> SourceRow:
    """A row in which sources are stored; the last one is in use."""
    row = SourceRow(source="github")
    for one in sources:
        row = with_provider(row, None, one)
    return row


def source(type_: SourceType | None = None, /, **fields: Any) -> WantedSource:
    return WantedSource(type_, fields)


# ── where the code comes from ────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["feature/ünï", "機能/1", "a+b@c=1,2%"])
def test_a_branch_may_have_letters_of_every_script(name: str) -> None:
    assert merge(configured(), source(branch=name)).saved.provider == GITHUB.model_copy(
        update={"branch": name}
    )


@pytest.mark.parametrize("name", ["a;b", "$(a)", "a&b", "a|b", "`a`", "a'b", 'a"b', "a>b", "a!b"])
def test_a_branch_has_no_sign_that_a_shell_takes_for_its_own(name: str) -> None:
    with pytest.raises(Rejected, match="may have letters, digits and"):
        merge(configured(), source(branch=name))


def test_another_branch_keeps_all_else() -> None:
    now = configured()

    new = merge(now, source(branch="dev"))

    assert new.saved.provider == GITHUB.model_copy(update={"branch": "dev"})
    assert difference(now, new) == (Changed("branch", "main", "dev"),)


def test_another_kind_of_source_keeps_what_all_kinds_share() -> None:
    now = configured()

    new = merge(now, source(SourceType.GIT, url="https://example.com/b", branch="main"))

    assert new.saved.provider == GitSource(
        url="https://example.com/b", branch="main", watch_paths=PATHS, submodules=True
    )
    assert new.saved.trigger is Trigger.PUSH  # a stored trigger counts for GitHub alone
    assert difference(now, new) == (
        Changed("source", "github", "git"),
        Changed("owner", "my-org", None),
        Changed("repository", "mono", None),
        Changed("provider_id", "gh_1", None),
        Changed("trigger", "tag", "push"),
        Changed("url", None, "https://example.com/b"),
    )


def test_an_image_in_between_loses_neither_watch_paths_nor_the_trigger() -> None:
    image = merge(configured(row=row_with(GITHUB)), source(SourceType.DOCKER, image="web:2"))

    fields = {"owner": "my-org", "repository": "mono", "branch": "main", "provider_id": "gh_1"}
    assert merge(image, WantedSource(SourceType.GITHUB, fields)).saved.provider == GITHUB


def test_what_is_stored_for_a_source_not_in_use_is_shown_where_it_changes() -> None:
    row = row_with(GIT, DOCKER, GITHUB).model_copy(update={"trigger": "tag"})
    now = configured(row=row)

    gone = difference(now, merge(now, NoSource()))

    assert [one for one in gone if one.field.startswith("stored.")] == [
        Changed("stored.git.url", "https://***@example.com/a.git", None),
        Changed("stored.git.branch", "main", None),
    ]  # the image and its password stay stored


def test_the_image_alone_changes_the_image_alone() -> None:
    now = configured(DOCKER, row=row_with(DOCKER))

    new = merge(now, source(image="web:2"))

    assert now.saved.row is not None
    assert new.saved.row is not None
    assert changes(now.saved.row, new.saved.row) == {"docker.image": "web:2"}


def test_credentials_and_folders_that_are_stored_are_used_again_and_shown() -> None:
    deep = GIT.model_copy(update={"build_path": "/deep", "ssh_key_id": "key_1"})
    now = configured(row=row_with(DOCKER, deep, GITHUB))

    image = merge(now, source(SourceType.DOCKER, image="web:2"))
    assert image.saved.provider == DOCKER.model_copy(update={"image": "web:2"})
    assert Changed("password", None, "set") in difference(now, image)
    assert [one for one in difference(now, image) if one.field.endswith("image")] == [
        Changed("image", "web:1", "web:2")
    ]

    address = merge(now, source(SourceType.GIT, url="https://example.com/b", branch="dev"))
    assert isinstance(address.saved.provider, GitSource)
    assert (address.saved.provider.build_path, address.saved.provider.ssh_key_id) == (
        "/deep",
        "key_1",
    )
    assert Changed("build_path", "/", "/deep") in difference(now, address)
    with pytest.raises(Rejected, match="needs branch too"):  # no branch of an older repository
        merge(now, source(SourceType.GIT, url="https://example.com/b"))


def test_a_password_that_stays_stored_is_not_said_to_be_removed() -> None:
    now = configured(DOCKER, row=row_with(DOCKER))

    gone = merge(now, NoSource())

    assert Changed("password", "set", "not in use") in difference(now, gone)
    assert gone.saved.row is not None
    assert fields_of(gone.saved.row)["docker.password"] == SecretStr("hunter2")


def test_what_stays_stored_is_not_said_to_be_emptied() -> None:
    now = configured(row=row_with(GITHUB, GIT))

    image = difference(now, merge(now, source(SourceType.DOCKER, image="web:2")))

    assert Changed("owner", "my-org", "not in use") in image
    assert Changed("branch", "main", "not in use") in image
    assert Changed("image", None, "web:2") in image


def test_a_value_that_another_source_had_stored_is_shown_where_it_is_lost() -> None:
    now = configured(row=row_with(GITHUB, GIT))

    address = source(SourceType.GIT, url="https://example.com/b", branch="dev")
    changed = difference(now, merge(now, address))

    assert Changed("branch", "main", "dev") in changed
    assert Changed("stored.git.branch", "main", "dev") not in changed
    other = configured(row=row_with(GITHUB, GIT.model_copy(update={"branch": "old"})))
    assert Changed("stored.git.branch", "old", "dev") in difference(other, merge(other, address))


def test_another_kind_of_source_needs_all_its_fields() -> None:
    with pytest.raises(Rejected, match="needs owner, provider_id, project_id, path too"):
        merge(configured(), source(SourceType.GITLAB, repository="mono", branch="main"))
    with pytest.raises(Rejected, match="name its kind"):
        merge(configured(None), source(branch="main"))


GITEA = GiteaSource(owner="old", repository="mono", branch="main", provider_id="ga")
OTHER_BRANCH = {"branch": "other"}
DORMANT: dict[SourceType, tuple[Any, dict[str, str], str]] = {
    SourceType.GITHUB: (GITHUB, OTHER_BRANCH, "owner my-org, repository mono, provider_id gh_1"),
    SourceType.GITLAB: (
        GITLAB,
        OTHER_BRANCH,
        "owner sub, repository mono, provider_id gl, project_id 7, path g/sub/mono",
    ),
    SourceType.GITEA: (GITEA, OTHER_BRANCH, "owner old, repository mono, provider_id ga"),
    SourceType.GIT: (GIT, OTHER_BRANCH, "url https://***@example.com/a.git"),
    SourceType.DOCKER: (DOCKER, {"registry_url": "ghcr.io"}, "image web:1"),
}


@each_row("kind", list(DORMANT))
def test_a_source_of_before_is_named_and_never_used_by_itself(kind: SourceType) -> None:
    before, fields, had = DORMANT[kind]
    now = configured(DOCKER if kind is not SourceType.DOCKER else GIT, row=row_with(before))

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


def test_an_empty_value_takes_what_is_optional_away() -> None:
    new = merge(configured(), source(watch_paths=None, provider_id="", build_path=None))

    assert new.saved.provider == GITHUB.model_copy(
        update={"watch_paths": None, "provider_id": None}
    )


def test_disconnecting_forgets_what_the_backend_forgets_and_our_rules() -> None:
    now = configured(rules=Rules(tags="v*"))

    new = merge(now, NoSource())

    assert (new.saved.provider, new.saved.watch_paths, new.rules) == (None, None, Rules())
    assert Changed("rules.tags", "v*", None) in difference(now, new)
    assert new.saved.environment == now.saved.environment


# ── our own rules ────────────────────────────────────────────────────────────


def test_a_trigger_goes_to_the_backend_where_that_can_hold_it() -> None:
    new = merge(configured(rules=Rules(trigger=Trigger.PUSH)), source(trigger="push"))

    assert new.saved.trigger is Trigger.PUSH
    assert new.rules == Rules()


@pytest.mark.parametrize("provider", [GITLAB, GIT])
def test_a_trigger_goes_to_our_rules_where_the_backend_has_none(provider: Any) -> None:
    now = configured(provider)

    new = merge(now, source(trigger="tag"))

    assert new == replace(now, rules=Rules(trigger=Trigger.TAG))
    assert merge(new, source(trigger="push")) == now  # as the backend has it, so nothing to say


def test_what_no_backend_can_hold_goes_to_our_rules() -> None:
    asked = {
        "branches": "release/*",
        "tags": "v*",
        "versions": ">=1 <2",
        "tag_prefix": "v",
        "prereleases": "skip",
        "only_newer": True,
        "skip_directives": False,
    }

    new = merge(configured(), WantedSource(None, {"branch": "dev", **asked}))

    assert new.rules == Rules(
        branch="release/*",
        tags="v*",
        versions=">=1 <2",
        tag_prefix="v",
        prereleases=Prereleases.SKIP,
        only_newer=True,
        skip_directives=False,
    )
    assert new.saved.provider == GITHUB.model_copy(update={"branch": "dev"})
    assert merge(new, WantedSource(None, dict.fromkeys(asked))).rules == Rules()


# ── build and variables ──────────────────────────────────────────────────────


def test_one_field_of_the_build_changes() -> None:
    now = configured()

    new = merge(now, WantedBuild({"publish_directory": "out"}))

    assert difference(now, new) == (Changed("publish_directory", "dist", "out"),)
    with pytest.raises(Rejected, match="compose"):
        merge(configured(build=None), WantedBuild({"publish_directory": "out"}))


def test_one_variable_changes_and_all_other_lines_stay() -> None:
    now = configured()
    changes = {"env": {"A": "A=3", "B": None, "D": "D=4"}}

    new = merge(now, WantedVariables(changes))

    assert new.saved.environment.env == SecretStr('# ours\nC="x\ny"\nA=3\nD=4')
    assert difference(now, new) == (
        Changed("env.A", "set", "changed"),
        Changed("env.B", "set", "removed"),
        Changed("env.D", None, "set"),
    )


def test_a_whole_text_takes_the_place_of_another() -> None:
    now = configured()

    new = merge(now, WantedVariables(replaced={"env": "Z=1", "build_args": None}))

    assert new.saved.environment.env == SecretStr("Z=1")
    assert {one.field for one in difference(now, new)} == {
        "env.A", "env.B", "env.C", "env (comments)", "env.Z",
    }  # fmt: skip


def test_a_stack_has_no_build_arguments() -> None:
    with pytest.raises(Rejected, match="compose"):
        merge(configured(build=None), WantedVariables({"build_args": {"A": "A=1"}}))


# ── what is refused, and in which words ──────────────────────────────────────


@each_row(
    ("wanted", "words"),
    [
        (
            source(branch="release/*"),
            "branch of the github source can't be 'release/\\*': .*set `b",
        ),
        (source(brunch="dev"), "brunch is no field of a github source; did you mean branch"),
        (source(image="web:1"), "image is no field of a github source"),
        (source(trigger="never"), "trigger of the github source can't be 'never': it is push or t"),
        (source(owner=None), "owner of the github source can't be empty"),
        (source(versions="one"), "versions can't be 'one'"),
        (source(tags="[" * 2000), "tags can't be .*glob"),
        (source(prereleases="no"), "prereleases can't be 'no': it is deploy or skip or only"),
        (source(only_newer="perhaps"), "only_newer can't be 'perhaps': it is true or false"),
        (source(SourceType.DOCKER, image="w", tags="v*"), "tags is no field of a docker source"),
        (
            WantedBuild({"build_type": "bazel"}),
            "build_type of the build can't be 'bazel': it is on",
        ),
        (WantedBuild({"dockerfil": "x"}), "did you mean dockerfile"),
        (WantedVariables({"envs": {}}), "envs is no field"),
    ],
)
def test_what_can_not_be_is_rejected_with_its_remedy(wanted: Wanted, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        merge(configured(), wanted)


@pytest.mark.parametrize("url", ["--upload-pack=x", "ext::sh -c x", "https://a/b c", "a\nb"])
def test_an_address_that_git_would_not_take_for_one_is_rejected(url: str) -> None:
    with pytest.raises(Rejected, match="url can't be a clone address"):
        merge(configured(GIT), source(url=url))


@each_row("value", ["$(id)", "a;id", "a`id`", "a&b", "a|b", "-x", "a'b", "a>b"])
def test_what_a_shell_would_run_is_rejected(value: str) -> None:
    """Backends put it into command lines; who may configure an app may run nothing beside it."""
    for wanted in (
        source(SourceType.GIT, url=f"https://example.com/{value}", branch="main")
        if value != "-x"
        else source(build_path=value),
        source(build_path=value),
        source(owner=value),
        WantedBuild({"dockerfile": value}),
        WantedBuild({"docker_context_path": value}),
        WantedBuild({"publish_directory": value}),
    ):
        with pytest.raises(Rejected, match=r"can't be what was given: .* part of a command"):
            merge(configured(), wanted)


def test_what_is_so_already_holds_up_no_other_change() -> None:
    now = merge(configured(), WantedBuild({"publish_directory": "out"}))
    assert now.saved.build is not None
    odd = now.saved.build.model_copy(update={"publish_directory": "o'clock"})
    now = replace(now, saved=replace(now.saved, build=odd))

    form = {"publish_directory": "o'clock", "build_type": "static"}
    new = merge(now, WantedBuild(form))

    assert new.saved.build is not None
    assert new.saved.build.publish_directory == "o'clock"


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


@st.composite
def configurations(draw: st.DrawFn) -> Configured:
    texts = [text_of(draw(VARIABLES)) for _ in range(3)]
    env = Environment(env=texts[0], build_args=texts[1], build_secrets=texts[2])
    rules = Rules(tags=draw(st.sampled_from([None, "v*"])))
    return configured(draw(SOURCES), rules, environment=env)


@given(configurations())
def test_merging_nothing_changes_nothing(now: Configured) -> None:
    for wanted in (WantedSource(), WantedBuild(), WantedVariables()):
        assert merge(now, wanted) == now
    assert difference(now, now) == ()


@given(configurations(), configurations())
def test_what_is_told_holds_no_secret(before: Configured, after: Configured) -> None:
    told = repr(difference(before, after)) + repr(shown(before)) + repr(shown(after))

    assert "s3cret" not in told
    assert "hunter2" not in told
    assert (difference(before, after) == ()) == (before == after)


@given(configurations(), VARIABLES)
def test_only_the_variables_that_were_asked_for_change(
    now: Configured, variables: dict[str, str]
) -> None:
    assignments = {key: assignment(key, value) for key, value in variables.items()}

    new = merge(now, WantedVariables({"env": assignments}))

    assert {one.field for one in difference(now, new)} <= {f"env.{key}" for key in variables}
    assert merge(new, WantedVariables({"env": assignments})) == new
    assert new.saved.environment.build_args == now.saved.environment.build_args


def test_empty_and_none_are_no_difference_since_they_are_none_to_a_backend() -> None:
    bare = configured(DOCKER.model_copy(update={"username": ""}), watch_paths=())
    none = configured(DOCKER.model_copy(update={"username": None}), watch_paths=None)

    assert difference(bare, none) == ()


def test_an_address_that_changes_only_in_its_secret_part_is_told_as_changed() -> None:
    now = configured(GIT)

    (change,) = difference(now, merge(now, source(url="https://me:other@example.com/a.git")))

    assert change == Changed(
        "url",
        "https://***@example.com/a.git",
        "https://***@example.com/a.git (its credentials changed)",
    )


# ── addresses and images ─────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    ["https://host/o/r.git", "ssh://git@host/o/r", "git@host:o/r.git", "git://host/r", "u@h:r"],
)
def test_addresses_of_git_servers_may_be_set_by_chat(url: str) -> None:
    checked_remote(url)


@each_row(
    "url",
    [
        "file:///etc", "/etc", "../x", "ext::sh -c x", "-oProxyCommand=x", "https://", "a b",
        "C:/x", "fd::3", "git@host:/\n", "localhost", "javascript:x", "ssh://-oX", "file:etc",
    ],
)  # fmt: skip
def test_what_leads_to_no_git_server_may_not(url: str) -> None:
    with pytest.raises(Unfit) as caught:
        checked_remote(url)

    assert caught.value.field == "url"


@each_row("image", ["--privileged", "a b", "-", "a\nb", "a;b", "$(x)"])
def test_what_docker_would_take_for_something_else_is_no_image(image: str) -> None:
    with pytest.raises(Unfit, match="image can't be"):
        checked_image(image)


@pytest.mark.parametrize("image", ["nginx", "ghcr.io/o/n:1.2@sha256:ab", "localhost:5000/a_b:v1"])
def test_images_are_images(image: str) -> None:
    checked_image(image)


# ── patterns that nothing can match ──────────────────────────────────────────


@each_row(
    ("field", "value", "words"),
    [
        ("tags", "refs/tags/v*", "write `v*`"),
        ("tag_prefix", "api v", "no tag has a space in its name"),
        ("tag_prefix", "refs/tags/v", "write 'v'"),
        ("tags", "v 1", "no tag has a space in its name"),
        ("tags", "*.lock", "no tag has a part that ends with `.lock`"),
        ("branches", "refs/heads/main", "write `main`"),
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


def test_an_odd_branch_that_is_saved_already_is_left_alone() -> None:
    now = configured(GITHUB.model_copy(update={"branch": "a..b"}))

    after = merge(now, WantedSource(SourceType.GITHUB, {"branch": "a..b", "owner": "other"}))

    assert difference(now, after) == (Changed("owner", "my-org", "other"),)
