"""What may be cloned and built: addresses, input, paths and variables, and no credential shown."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.variables import resolve
from bridge.embedded.building.sites import content_type, find
from bridge.embedded.building.sources import (
    Hosts,
    as_env_file,
    check_branch,
    check_url,
    parse_variables,
    read_source,
    split_credentials,
)
from bridge.embedded.http import inputs
from bridge.embedded.http.answers import NEW_APPLICATION
from bridge.embedded.http.procedure import InvalidInput, parse
from bridge.embedded.storage.paths import BuildFailed, inside
from bridge.embedded.storage.records import moment, new_id, seconds
from tests.worlds.rows import each_row


@each_row(
    "url",
    [
        "https://github.com/o/r.git",
        "http://10.0.0.1:3000/o/r",
        "ssh://git@host:22/o/r.git",
        "git://host/r.git",
        "file:///srv/git/r.git",
        "git@github.com:o/r.git",
        "host:o/r.git",
        "HTTPS://host/r",
    ],
)
def test_plain_addresses_may_be_cloned(url: str) -> None:
    assert check_url(url) == url


@each_row(
    "url",
    [
        "ext::sh -c id",
        "fd::17",
        "http::https://host/r",
        "ftp://host/r",
        "javascript://x",
        "-u",
        "--upload-pack=x",
        "ssh://-oProxyCommand=x/r",
        "ssh://user@-oProxyCommand=x/r",
        "-oProxyCommand=x:r",
        "https://h/r\nx",
        "\0",
        "relative/path",
        "",
    ],
)
def test_other_addresses_may_not(url: str) -> None:
    with pytest.raises(BuildFailed):
        check_url(url)


def test_a_path_becomes_an_address() -> None:
    assert check_url("/srv/my git/r") == "file:///srv/my%20git/r"


@each_row("branch", ["", None, "-b", "--x", "a b", "a\nb", "a~1", "a:b", "a..\0"])
def test_a_branch_must_be_a_name(branch: str | None) -> None:
    with pytest.raises(BuildFailed):
        check_branch(branch)


@each_row(
    ("url", "bare", "header"),
    [
        ("https://a:b@h/r", "https://h/r", "Authorization: Basic YTpi"),
        ("https://a%40x:b%2F@h:8/r", "https://h:8/r", "Authorization: Basic YUB4OmIv"),
        ("https://token@h/r", "https://h/r", "Authorization: Basic dG9rZW46"),
        ("https://h/r", "https://h/r", None),
        ("ssh://git@h/r", "ssh://git@h/r", None),
    ],
)
def test_credentials_become_a_header(url: str, bare: str, header: str | None) -> None:
    assert split_credentials(url) == (bare, header)


def source(hosts: Hosts | None = None, *, gitlab: Any = None, **fields: Any) -> Any:
    application = NEW_APPLICATION | fields
    return read_source(application, hosts or Hosts(), github=None, gitlab=gitlab)


def test_a_provider_brings_its_address_and_token() -> None:
    provider = {
        "gitlabUrl": "https://git.example.com/",
        "gitlabInternalUrl": None,
        "accessToken": "tok",
    }
    fields: dict[str, Any] = {
        "sourceType": "gitlab",
        "gitlabPathNamespace": "g/s/p",
        "gitlabBranch": "main",
    }

    found = source(gitlab=provider, **fields)

    assert found.urls[0] == "https://git.example.com/g/s/p.git"
    assert found.authorization == "Authorization: Basic b2F1dGgyOnRvaw=="
    assert source(Hosts(gitlab_url="file:///r"), gitlab=provider, **fields).urls[0] == (
        "file:///r/g/s/p.git"
    )


@each_row("name", ["../../etc", "a/../b", "-x/..", "a b", "a?b", "a//b"])
def test_a_repository_has_a_plain_name(name: str) -> None:
    with pytest.raises(BuildFailed):
        source(sourceType="github", owner="o", repository=name, branch="main")


@each_row("kind", ["github", "gitlab", "git", "bitbucket", "drop"])
def test_what_is_not_configured_says_what_to_do(kind: str) -> None:
    with pytest.raises(BuildFailed, match=r"configured|not supported"):
        source(sourceType=kind, branch="main")


# ── input rules ────────────────────────────────────────────────────────────────


def issues(model: type[inputs.Input], data: Any) -> list[dict[str, Any]]:
    with pytest.raises(InvalidInput) as caught:
        parse(model, data)
    return caught.value.issues


def messages(model: type[inputs.Input], data: Any) -> list[str]:
    return [issue["message"] for issue in issues(model, data)]


def test_a_branch_never_looks_like_an_option() -> None:
    assert messages(inputs.GitProvider, _git("-b")) == ["Invalid branch name"]


def _git(branch: str) -> dict[str, Any]:
    return {
        "applicationId": "a",
        "customGitUrl": "u",
        "customGitBranch": branch,
        "customGitBuildPath": "/",
        "watchPaths": None,
    }


@each_row("text", ["a\0b", "\ud800"])
def test_texts_are_what_can_be_stored(text: str) -> None:
    (issue,) = issues(inputs.ProjectCreate, {"name": text})

    assert issue["path"] == ["name"]
    assert issue["message"].startswith("must not contain")


# ── paths stay inside of their folder ──────────────────────────────────────────


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "apps" / "web").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "inner").symlink_to("apps")
    (root / "outer").symlink_to(tmp_path)
    return root


@pytest.mark.parametrize("wanted", ["..", "/..", "apps/../..", "outer", "outer/root/..", ".git"])
def test_a_path_out_of_the_repository_is_not(root: Path, wanted: str) -> None:
    with pytest.raises(BuildFailed, match=r"outside|off limits"):
        inside(root, wanted, what="path")


def test_a_path_must_exist(root: Path) -> None:
    with pytest.raises(BuildFailed, match="'nothing' does not exist"):
        inside(root, "nothing", what="path")


def test_ids_and_moments_look_like_the_servers() -> None:
    assert re.fullmatch(r"[\w-]{21}", new_id())
    assert moment(1795560037.334) == "2026-11-24T22:40:37.334Z"
    assert seconds("2026-11-24T22:40:37.334Z") == pytest.approx(1795560037.334)


def test_a_site_without_a_release_has_nothing(tmp_path: Path) -> None:
    assert find(tmp_path, "").file is None


def test_types_do_not_depend_on_the_machine() -> None:
    assert content_type(Path("a.MJS")) == "text/javascript; charset=utf-8"
    assert content_type(Path("a.svg")) == "image/svg+xml; charset=utf-8"
    assert content_type(Path("a.png")) == "image/png"
    assert content_type(Path("a")) == "application/octet-stream"


# ── environment variables as people write them ─────────────────────────────────


@each_row(
    ("text", "found"),
    [
        (None, {}),
        ("", {}),
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("# note\n\nexport A=1\nno equals\n9X=1\nA B=1\n-C=1", {"A": "1", "9X": "1"}),
        ("URL=postgres://a:b@h/d?x=y", {"URL": "postgres://a:b@h/d?x=y"}),
        ("A='single $x'\nB=\"double\"", {"A": "single $x", "B": "double"}),
        ('A="one\\ntwo"', {"A": "one\ntwo"}),
        ('A="one\ntwo"\nB=3', {"A": "one\ntwo", "B": "3"}),
        ('A="open\nB=3', {"A": '"open', "B": "3"}),
        ("A=v # c\nB='v # c' # d\nC=\"v#c\"#d", {"A": "v", "B": "v # c", "C": "v#c"}),
        ("A=# c\nB=v#c\nC=`v # c`", {"A": "", "B": "v", "C": "v # c"}),
        ('A="one\ntwo" # c\nB=3', {"A": "one\ntwo", "B": "3"}),
        ("A='one\ntwo'\nB=3", {"A": "one\ntwo", "B": "3"}),
        ("A=", {"A": ""}),
        ("A= padded \r\nB=1\r\n", {"A": "padded", "B": "1"}),
        ('A="', {"A": '"'}),
    ],
)
def test_lines_are_read(text: str | None, found: dict[str, str]) -> None:
    assert parse_variables(text) == found


def test_references_are_filled_in_once() -> None:
    found = resolve(
        {"A": "${{project.P}}-${{ environment.E }}-${{B}}-${{project.NONE}}", "B": "${{A}}"},
        project={"P": "p"},
        environment={"E": "e"},
    )

    assert found["A"] == "p-e-${{A}}-${{project.NONE}}"


values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])).map(str.strip)
names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,10}", fullmatch=True)


@given(st.dictionaries(names, st.one_of(values, st.just("a\nb"), st.just('q"\\n'))))
def test_an_env_file_reads_back_as_it_was(variables: dict[str, str]) -> None:
    assert parse_variables(as_env_file(variables)) == variables
