"""Names of repositories and refs: which are possible, and which are equal."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from bridge.core.errors import Rejected

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/?#]*@)?([^/?#]*)(.*)", re.DOTALL)
_HOST = re.compile(r"(\[[^\[\]@]+\]|[^\[\]:@\s.][^\[\]:@\s]*)(?::([0-9]*))?")
_SCP = re.compile(r"(?:([^@:/\s]+)@)?(\[[^\[\]@/\s]+\]|[^\[\]:@/\s.][^\[\]:@/\s]*):(.+)", re.DOTALL)
_PORT = re.compile(r"[0-9]+(?:/|$)")

_NO_BRANCH = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]"  # characters that Git forbids in a name
    r"|\.\.|@\{|//|/\.|\.lock(?:/|$)|\.$|/$|^[./-]|^@$|^HEAD$|^refs/"
)

_DEFAULT_PORTS = {"https": "443", "http": "80"}


def check_branch_name(name: str) -> None:
    """Raise Rejected for an impossible branch name, by Git's rules (git-check-ref-format)."""
    found = _NO_BRANCH.search(name)
    if name and found is None:
        return
    if name.startswith("refs/heads/"):
        remedy = f"write {name.removeprefix('refs/heads/')!r}"
    elif name.startswith("refs/"):
        remedy = "a tag or another ref can't be followed; name a branch, e.g. main"
    elif found is not None and found[0] in "*?[":
        remedy = "one branch is cloned; patterns of branches are for the rules of bridge.yaml"
    else:
        remedy = "name one, e.g. main"
    raise Rejected(f"{name[:100]!r} can't be a branch, so no push would ever match it: {remedy}")


_ANYTHING = "\0"
"""Stands in a skeleton for the text that part of a glob matches; no name contains it."""

_GROUPS = {"[": "]", "{": "}", "(": ")"}
_NOWHERE = re.compile(r"[\x01-\x20\x7f~^:?*\[\\]")
_NO_NAME = (
    (re.compile(r"\.\."), "has `..` in it"),
    (re.compile(r"//"), "has `//` in it"),
    (re.compile(r"^/"), "begins with a slash"),
    (re.compile(r"/$"), "ends with a slash"),
    (re.compile(r"\.$"), "ends with a dot"),
    (re.compile(r"(?:^|/)\."), "has a part that begins with a dot"),
    (re.compile(r"\.lock(?:/|$)"), "has a part that ends with `.lock`"),
)
_SIGNS = {" ": "a space", "\t": "a tab", "\n": "a line break"}


RefKind: TypeAlias = Literal["branch", "tag"]


@dataclass(frozen=True, slots=True)
class NeverMatches:
    """Why a glob or prefix fits no name that Git allows, and the remedy."""

    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.why}; {self.remedy}"


def unmatchable(pattern: str, kind: RefKind) -> NeverMatches | None:
    """Return why a glob can match no branch or tag; None if it may match one.

    The rules are Git's own (git-check-ref-format). The content of brackets is not checked.
    """
    for space, its in (("refs/heads/", "branch"), ("refs/tags/", "tag")):
        if pattern.startswith(space):
            rest = pattern.removeprefix(space) or "v*"
            remedy = f"write `{rest}`" if its == kind else f"name a {kind}, not a {its}"
            return NeverMatches(f"a {kind} is matched without `refs/` before its name", remedy)
    pattern = pattern.removeprefix("./")
    body = pattern.lstrip("!") if not pattern.startswith("!(") else pattern
    if (len(pattern) - len(body)) % 2:
        if body in ("**", "**/*"):
            return NeverMatches(f"it excludes every {kind}", "name those that deploy")
        return None
    names = _skeleton(body.removeprefix("./"))
    if "|" in names:  # one of several
        return None
    if '"' in names:  # what quotes hold may count or not, as picomatch has it
        return None
    if found := _NOWHERE.search(names):
        sign = _SIGNS.get(found[0]) or (f"`{found[0]}`" if found[0].isprintable() else "such signs")
        remedy = "close the bracket, or take it out" if found[0] == "[" else "take it out"
        return NeverMatches(f"no {kind} has {sign} in its name", remedy)
    remedy = f"name those that deploy, e.g. {_EXAMPLES[kind]}"
    whys = (why for sign, why in _NO_NAME if sign.search(names))
    return next((NeverMatches(f"no {kind} {why}", remedy) for why in whys), None)


def unmatchable_prefix(prefix: str) -> NeverMatches | None:
    """Return why no tag can have this prefix before a version; None if one may.

    The rules are Git's own (git-check-ref-format); a prefix is not a glob.
    """
    if prefix.startswith("refs/tags/"):
        rest = prefix.removeprefix("refs/tags/")
        return NeverMatches("a tag is compared without `refs/` before its name", f"write {rest!r}")
    name = f"{prefix}1.2.3".replace(_ANYTHING, "\1")  # it stands for nothing here
    if found := _NOWHERE.search(name):
        if found[0] in "*?[":
            why = f"it is no glob, and no tag has `{found[0]}` in its name"
            return NeverMatches(why, "write e.g. api-v")
        sign = _SIGNS.get(found[0]) or (f"`{found[0]}`" if found[0].isprintable() else "such signs")
        return NeverMatches(f"no tag has {sign} in its name", "take it out")
    why = next((words for sign, words in _NO_NAME if sign.search(name)), "")
    if not why and "@{" in name:
        why = "has `@{` in it"
    return NeverMatches(f"no tag {why}", "write e.g. api-v") if why else None


_EXAMPLES = {"branch": "release/*", "tag": "v*"}


def _skeleton(glob: str) -> str:
    """Return a glob with its literal characters, and `_ANYTHING` for each other part.

    A `|` in braces stays: the glob is one of several, as with one outside of all groups.
    """
    found, at = "", 0
    while at < len(glob):
        sign, end = glob[at], at + 1
        if sign == "\\" and end < len(glob):
            found, at = found + glob[end], end + 1
            continue
        start = end if sign in "+@!" and glob[end : end + 1] == "(" else at
        closed = _closed(glob, start) if glob[start] in _GROUPS else 0
        several = sign == "{" and "|" in glob[at:closed]
        found += "|" if several else _ANYTHING if closed or sign in "*?" else sign
        at = closed or end
    return found


def _closed(glob: str, at: int) -> int:
    """Return the end of the group that begins at `at`; 0 if it has none."""
    waiting: list[str] = []
    if class_ := re.match(r"\[[!^]?\]?", glob[at:]):
        waiting, at = ["]"], at + class_.end()
    while at < len(glob):
        sign = glob[at]
        if sign == "\\":
            at += 1
        elif sign in _GROUPS and "]" not in waiting:
            waiting.append(_GROUPS[sign])
        elif waiting and sign == waiting[-1]:
            waiting.pop()
            if not waiting:
                return at + 1
        at += 1
    return 0


@lru_cache(1024)
def normalise_url(url: str) -> str:
    """Return the canonical form of a clone URL: `host/owner/repo` in lower case.

    `git@h:o/r.git`, `ssh://git@h:22/o/r` and `https://h/o/r.git` are the same. User names, SSH and
    Git ports and a trailing `.git` or `/` are ignored; an HTTP port counts, since another server
    may listen there. A local path keeps its case: `file:/srv/git/r`. Other texts are returned in
    lower case. The function never raises and is idempotent.
    """
    url = url.strip()
    if match := _URL.fullmatch(url):
        return _from_url(match[1].lower(), match[2], match[3])
    if url.lower().startswith(("file:/", "file:.")):  # our own form, and what RFC 8089 allows too
        return _local(url[5:])
    if url.startswith(("/", ".")):
        return _local(url)
    # `h:8443/o/r` is our own form of a port; with a user name, scp reads it as a folder
    if (match := _SCP.fullmatch(url)) and (match[1] or not _PORT.match(match[3])):
        return _join(match[2], match[3])
    return _bare(url.lower())


def is_on_disk(url: str) -> bool:
    """Return whether a normalised clone URL is a path of this machine."""
    return url.startswith("file:")


def home_of(url: str, homes: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the server of a normalised clone URL, and its path there; None if none has it.

    Args:
        homes: servers by the beginning of their clone URLs, e.g. `example.com/git`; the longest
            that fits counts.
    """
    home = max((one for one in homes if url.startswith(f"{one}/")), key=len, default=None)
    return None if home is None else (homes[home], url.removeprefix(f"{home}/"))


def _from_url(scheme: str, host_and_port: str, path: str) -> str:
    if scheme == "file":
        return _local(path)
    match = _HOST.fullmatch(host_and_port)
    if match is None:
        return _bare(f"{scheme}://{host_and_port}{path}".lower())
    host, port = match[1], match[2]
    if port and scheme in ("https", "http") and port != _DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    return _join(host, path)


def _join(host: str, path: str) -> str:
    return _bare(f"{host}/{_bare(path.lower()).lstrip('/ ')}".lower())


def _local(path: str) -> str:
    path = _bare(path)
    return "file:" + path if path.startswith(".") else "file:/" + path.lstrip("/")


def _bare(path: str) -> str:
    """Return a path without surrounding white space and without trailing `/` and `.git`."""
    while (shorter := path.strip().rstrip("/").removesuffix(".git")) != path:
        path = shorter
    return path


@dataclass(frozen=True, slots=True)
class Pages:
    """The URLs of pages about a repository, relative to the repository's own.

    Attributes:
        sign: the character before a pull request's number.
    """

    commit: str = "/commit/{sha}"
    compare: str = "/compare/{old}...{new}"
    pull_request: str = "/pull/{number}"
    environment: str = "/deployments/{name}"
    sign: str = "#"
