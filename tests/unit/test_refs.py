"""Addresses are compared however they are written, and branches and tags by their names."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.app.doctor.settings import remarks
from bridge.core.chat.calls import Call
from bridge.core.configuration.merge import WantedSource, merge
from bridge.core.errors import Rejected
from bridge.core.events import RefPushed, Repository
from bridge.core.matching import Glob, GlobError
from bridge.core.refs import check_branch_name, normalise_url, unmatchable
from bridge.core.rules import branch_matches
from bridge.githosts import HOSTS
from bridge.operations.words import parse
from bridge.settings import read_settings
from tests.scenes.slack_provider import GITHUB, configured
from tests.unit.githosts.test_deliveries import load
from tests.worlds.rows import each_row

SAME = "git.example.com/owner/repo"


@each_row(
    "url",
    [
        "git@git.example.com:owner/repo.git", "git@git.example.com:/owner/repo.git",
        "git.example.com:owner/repo.git", "ssh://git@git.example.com:2222/owner/repo.git",
        "git+ssh://git@git.example.com:2222/owner/repo", "ssh://git.example.com//owner/repo",
        "git://git.example.com:9418/owner/repo.git", "https://git.example.com/owner/repo.git/",
        "https://git.example.com:443/owner/repo.git", "http://git.example.com:/owner/repo.git",
        "https://user:p@ss:word@git.example.com/owner/repo.git", "git.example.com/owner/repo",
        "HTTPS://Git.Example.COM/Owner/Repo.GIT", "  https://git.example.com/owner/repo.git\n",
    ],
)  # fmt: skip
def test_all_ways_to_write_an_address_are_the_same(url):
    assert normalise_url(url) == SAME


@each_row(
    ("url", "wanted"),
    [
        ("https://h:8443/o/r.git", "h:8443/o/r"), ("http://h:443/o/r", "h:443/o/r"),
        ("https://h:1443/o/r", "h:1443/o/r"), ("https://h", "h"),
        ("https://[2001:DB8::1]:8443/o/r.git", "[2001:db8::1]:8443/o/r"),
        ("ssh://git@[::1]:22/o/r.git", "[::1]/o/r"), ("git@[::1]:o/r.git", "[::1]/o/r"),
        ("git@h:8443/r.git", "h/8443/r"),  # a group that is called 8443
        ("git@h:a/b/c.git", "h/a/b/c"), ("git@h:~ada/r.git", "h/~ada/r"),
        ("https://h/o/.github.git", "h/o/.github"),
        # a local path keeps its case
        ("/srv/git/Repo/.git", "file:/srv/git/Repo"), ("FILE:///srv/Repo", "file:/srv/Repo"),
        ("file://localhost/srv/git/Repo.git", "file:/srv/git/Repo"),
    ],
)  # fmt: skip
def test_hosts_ports_and_paths_are_read_exactly(url, wanted):
    assert normalise_url(url) == wanted


@each_row(
    "other",
    [
        "https://h/o/r2", "https://h2/o/r", "https://h:8443/o/r", "https://h/o/sub/r", "/h/o/r",
        "https://evil.example/@h/o/r", "https://evil.example/x@h/o/r",
        "https://evil.example?@h/o/r", "https://evil.example#@h/o/r",
    ],
)  # fmt: skip
def test_different_repositories_stay_different(other):
    assert normalise_url(other) != normalise_url("https://h/o/r")


PIECES = st.sampled_from(
    [
        *("https", "ssh", "file", "://", ":", "/", "//", "@", ".git", ".GIT", "[::1]", "[", "]"),
        *("h", "o", "r", "22", "8443", ".", "..", " ", "\n", "İ", "Σ", "?", "#", "%2f", "\0"),
        "\ud800",
    ]
)


@given(st.text() | st.lists(PIECES, max_size=12).map("".join))
@example("https:///c:d")
@example("https://h:x:y/o/r")
@example("//0")
@example("h:/.git")
@example("a@b@c:d")
def test_it_never_raises_and_changes_its_own_results_no_more(url):
    once = normalise_url(url)

    assert normalise_url(once) == once


@each_row(
    ("web_url", "urls", "address", "ours"),
    [
        ("https://github.com/o/r", [], "https://github.com", True),
        ("https://github.com.evil.example/o/r", [], "https://github.com", False),
        ("https://github.com@evil.example/o/r", [], "https://github.com", False),
        ("https://git.example.com/gitlab2/o/r", [], "https://git.example.com/gitlab", False),
        ("https://git.example.com:8443/o/r", [], "https://git.example.com", False),
        ("https://evil.example/o/r", ["https://github.com/o/r"], "https://github.com", False),
        (None, ["ssh://git@ssh.example/o/r", "https://github.com/o/r"], "https://github.com", True),
        (None, [], "https://github.com", False),
    ],
)
def test_a_repository_is_where_its_own_addresses_are(web_url, urls, address, *, ours) -> None:
    repository = Repository("github", "1", "o/r", frozenset(map(normalise_url, urls)), web_url)

    assert repository.is_at(address) is ours


NEVER = {
    "refs/tags/v*": "write `v*`", "refs/heads/main": "not a branch", "v~1": "`~`", "v*^": "`^`",
    "v[": "`[` in its name; close the bracket", "v 1": "a space", "a:b": "`:`", "v\\*1": "`*`",
    "\x7f": "such signs", "*.lock": "ends with `.lock`", "a.lock/*": "ends with `.lock`",
    "v..*": "has `..`", "v//*": "has `//`", "/v*": "begins with a slash",
    "v*/": "ends with a slash", "v*.": "ends with a dot", ".v*": "begins with a dot",
    "v/.*": "begins with a dot", "!**": "excludes every tag", "./v 1": "a space",
}  # fmt: skip
MAY = (
    *("v*", "**", "!v 1", "[ab]*", "{a b,c}", "v@(1 2|3)", "a|b c", "v*.*", "v?", "./v*", "!!v*"),
    *("*.lock*", "v[^~]", "[]a]*", "v\\.1", "@", "\u00e4*", "v1.{2,3}", "-v", ""),
)


@each_row(("pattern", "words"), NEVER.items())
def test_a_glob_that_matches_no_name_is_told_with_a_remedy(pattern, words):
    assert words in str(unmatchable(pattern, "tag"))
    assert [one for one in MAY if unmatchable(one, "tag") or unmatchable(one, "branch")] == []


@given(
    pattern=st.text('va/.*?[]{}()!|+@^~ \\,"-', min_size=1, max_size=8),
    name=st.text("va/.@{]-", min_size=1, max_size=5),
)
@example("./v", "v")
@example("[]a b]", "a")
@example("a|b c", "a")
@example("{|}~", "{")
@example("v\\?", "v")
@example("./!~", "a")
@example('*"^"*', "a")
@settings(max_examples=8 * settings().max_examples)
def test_no_glob_is_refused_that_matches_a_name(pattern, name):
    try:
        check_branch_name(name)
        matches = Glob(pattern).matches(name)
    except (Rejected, GlobError):
        return

    if matches:
        assert unmatchable(pattern, "branch") is None


@each_row("name", ["ünï", "機能/1"])
def test_git_a_rule_and_a_chat_name_it(name: str) -> None:
    check_branch_name(name)
    assert branch_matches(name, name)
    assert branch_matches("**", name)
    now = configured(GITHUB)
    provider = GITHUB.model_copy(update={"branch": name})
    assert merge(now, WantedSource(None, {"branch": name})).saved.provider == provider

    given = {"BRIDGE_RULES": f"[{{apps: '*', branch: {name!r}, pin: true}}]"}
    assert [one for one in remarks(read_settings(None, given)) if one.level != "note"] == []

    typed = f"deploy shop/web@{name}"
    assert parse(typed) == Call("deploy", {"app": "shop/web", "branch": name}, typed)


@each_row(
    ("event", "delivery"),
    [
        ("push", "github/push__two_files"),
        ("Push Hook", "gitlab/push__one_file"),
        ("push", "gitea/push__three_commits"),
    ],
)
def test_a_webhook_names_it(event, delivery):
    reader = HOSTS[delivery.partition("/")[0]].reader()
    said = json.loads(load(delivery)[1]) | {"ref": "refs/heads/feature/ünï"}
    for ascii_only in (False, True):
        push = reader.parse(event, {}, json.dumps(said, ensure_ascii=ascii_only).encode())

        assert isinstance(push, RefPushed)
        assert push.ref.name == "feature/ünï"
