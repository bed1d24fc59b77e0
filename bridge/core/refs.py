"""Names of repositories and refs, and when two of them are the same."""

import re

from bridge.core.errors import Rejected

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/?#]*@)?([^/?#]*)(.*)", re.DOTALL)
_HOST = re.compile(r"(\[[^\[\]@]+\]|[^\[\]:@\s.][^\[\]:@\s]*)(?::([0-9]*))?")
_SCP = re.compile(r"(?:([^@:/\s]+)@)?(\[[^\[\]@/\s]+\]|[^\[\]:@/\s.][^\[\]:@/\s]*):(.+)", re.DOTALL)
_PORT = re.compile(r"[0-9]+(?:/|$)")

_NO_BRANCH = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]"  # what Git allows nowhere in a name
    r"|\.\.|@\{|//|/\.|\.lock(?:/|$)|\.$|/$|^[./-]|^@$|^HEAD$|^refs/"
)

_DEFAULT_PORTS = {"https": "443", "http": "80"}


def check_branch_name(name: str) -> None:
    """Raise Rejected for what no branch is called, by Git's own rules (git-check-ref-format)."""
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


def normalise_url(url: str) -> str:
    """One form for the many ways to write a clone address: `host/owner/repo` in lower case.

    `git@h:o/r.git`, `ssh://git@h:22/o/r` and `https://h/o/r.git` are the same. User names,
    ports of ssh and git and a trailing `.git` or `/` do not count; the port of http does,
    since another server may listen there. A local path keeps its case: `file:/srv/git/r`.
    What is no address comes back in lower case. Never raises, and changes its own results
    no more.
    """
    url = url.strip()
    if match := _URL.fullmatch(url):
        return _from_url(match[1].lower(), match[2], match[3])
    if url.lower().startswith(("file:/", "file:.")):  # our own form, and what RFC 8089 allows too
        return _local(url[5:])
    if url.startswith(("/", ".")):
        return _local(url)
    # `h:8443/o/r` is our own form of a port; with a user before it, scp means a folder
    if (match := _SCP.fullmatch(url)) and (match[1] or not _PORT.match(match[3])):
        return _join(match[2], match[3])
    return _bare(url.lower())


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
    """Without white space around it and without `/` and `.git` at its end, however many."""
    while (shorter := path.strip().rstrip("/").removesuffix(".git")) != path:
        path = shorter
    return path
