"""Which addresses and branches may be cloned, and how credentials are kept off command lines."""

from typing import Any

import pytest

from bridge.embedded.building.sources import (
    Hosts,
    check_branch,
    check_url,
    read_source,
    split_credentials,
)
from bridge.embedded.http.answers import NEW_APPLICATION
from bridge.embedded.storage.paths import BuildFailed
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


@pytest.mark.parametrize(
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


def test_github_is_tried_with_and_without_git_at_the_end() -> None:
    found = source(sourceType="github", owner="my-org", repository="mono", branch="main")

    assert found.urls == (
        "https://github.com/my-org/mono.git",
        "https://github.com/my-org/mono",
    )
    assert found.authorization is None


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


@pytest.mark.parametrize("kind", ["github", "gitlab", "git", "bitbucket", "drop"])
def test_what_is_not_configured_says_what_to_do(kind: str) -> None:
    with pytest.raises(BuildFailed, match=r"configured|not supported"):
        source(sourceType=kind, branch="main")
