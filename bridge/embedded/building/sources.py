"""The input of a build: the application's repository and variables. Pure."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from bridge.core.variables import statements, written_value
from bridge.embedded.storage.paths import BuildFailed
from bridge.embedded.storage.records import Record

TRANSPORTS = ("https", "http", "ssh", "git", "file")
"""The transports that Git may use; plain http is for servers in private networks."""

_SCP = re.compile(r"^(?:[\w.+-]+@)?[\w.][\w.-]*:(?!//)[^:].*$")
_HELPER = re.compile(r"^([A-Za-z0-9+.-]+)::")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NAME = re.compile(r"[\w.~-]+(?:/[\w.~-]+)*")


@dataclass(frozen=True, slots=True)
class Clone:
    """A repository to clone.

    Attributes:
        urls: addresses to try one after another, without credentials.
        ref: a branch, or a whole commit id.
        authorization: value of an HTTP header for requests below `urls`; never shown.
        shown: "GitHub", "GitLab" or "Custom", for the log.
        authorities: PEM files by the addresses of their servers.
    """

    urls: tuple[str, ...]
    ref: str
    build_path: str
    submodules: bool
    shown: str
    authorization: str | None = None
    authorities: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_commit(self) -> bool:
        """True if `ref` is a commit: no branch of the repository has a fork's commit."""
        return _COMMIT.fullmatch(self.ref) is not None


@dataclass(frozen=True, slots=True)
class Hosts:
    """Addresses of the Git hosts; None means the address of the provider's record.

    Attributes:
        github_token, gitlab_token: for private repositories without a token of the provider.
        authorities: PEM files by the addresses of the servers that have them.
    """

    github_url: str | None = None
    gitlab_url: str | None = None
    github_token: str | None = None
    gitlab_token: str | None = None
    authorities: Mapping[str, str] = field(default_factory=dict)


def read_source(
    application: Record, hosts: Hosts, *, github: Record | None, gitlab: Record | None
) -> Clone:
    """Return the repository of an application.

    Raises:
        BuildFailed: it has no usable Git source.
    """
    kind = application["sourceType"]
    if kind == "git":
        found = _custom(application)
    elif kind == "github":
        found = _github(application, hosts, github)
    elif kind == "gitlab":
        found = _gitlab(application, hosts, gitlab)
    else:
        raise BuildFailed(f"source type {kind} is not supported by the embedded backend")
    return replace(found, authorities=hosts.authorities)


def _custom(app: Record) -> Clone:
    if not app["customGitUrl"]:
        raise BuildFailed("no Git repository is configured: save a Git provider first")
    url, authorization = split_credentials(check_url(app["customGitUrl"]))
    plain = url.rstrip("/")
    # Hosts may redirect between the address with and without `.git`, which a credential forbids.
    alone = authorization is None or plain.endswith(".git") or "?" in url
    return Clone(
        urls=(url,) if alone else (url, f"{plain}.git"),
        ref=check_branch(app["customGitBranch"]),
        build_path=app["customGitBuildPath"] or "/",
        submodules=bool(app["enableSubmodules"]),
        shown="Custom",
        authorization=authorization,
    )


def _github(app: Record, hosts: Hosts, provider: Record | None) -> Clone:
    if not app["repository"] or not app["owner"]:
        raise BuildFailed("no GitHub repository is configured: save a GitHub provider first")
    base = hosts.github_url or (provider or {}).get("githubUrl") or "https://github.com"
    return Clone(
        urls=_repository_urls(base, f"{app['owner']}/{app['repository']}"),
        ref=check_branch(app["branch"]),
        build_path=app["buildPath"] or "/",
        submodules=bool(app["enableSubmodules"]),
        shown="GitHub",
        authorization=_basic("x-access-token", hosts.github_token),
    )


def _gitlab(app: Record, hosts: Hosts, provider: Record | None) -> Clone:
    owner, name = app["gitlabOwner"], app["gitlabRepository"]
    path = app["gitlabPathNamespace"] or (f"{owner}/{name}" if owner and name else None)
    if not path:
        raise BuildFailed("no GitLab project is configured: save a GitLab provider first")
    known = provider or {}
    internal = known.get("gitlabInternalUrl")
    base = hosts.gitlab_url or internal or known.get("gitlabUrl") or "https://gitlab.com"
    return Clone(
        urls=_repository_urls(base, path),
        ref=check_branch(app["gitlabBranch"]),
        build_path=app["gitlabBuildPath"] or "/",
        submodules=bool(app["enableSubmodules"]),
        shown="GitLab",
        authorization=_basic("oauth2", known.get("accessToken") or hosts.gitlab_token),
    )


def check_url(url: str) -> str:
    """Return a plain address; a local path becomes a `file://` address.

    Raises:
        BuildFailed: it is no address, could be taken for an option, or needs another transport
            (`ext::` would run commands).
    """
    url = url.strip()
    if not url or url.startswith("-") or any(ord(char) < ord(" ") for char in url):
        raise BuildFailed("the address of the Git repository can't be used")
    allowed = ", ".join(TRANSPORTS)
    if match := _HELPER.match(url):
        raise BuildFailed(f"transport {match[1]!r} is not allowed; allowed are {allowed}")
    scheme, separator, rest = url.partition("://")
    if separator:
        if scheme.lower() not in TRANSPORTS:
            raise BuildFailed(f"transport {scheme[:40]!r} is not allowed; allowed are {allowed}")
        if scheme.lower() != "file" and rest.rpartition("@")[2].startswith("-"):
            raise BuildFailed("the address of the Git repository can't be used")
        return url
    if url.startswith("/"):
        return "file://" + quote(url)
    if _SCP.match(url):
        return url
    raise BuildFailed(f"{url[:200]!r} is not the address of a Git repository; write e.g. https://…")


def check_branch(branch: str | None) -> str:
    """Return a branch that Git can't take for an option; raise BuildFailed for any other."""
    if not branch:
        raise BuildFailed("no branch is configured")
    if branch.startswith("-") or any(char in branch for char in "\0\n\r ~^:?*[\\"):
        raise BuildFailed(f"{branch[:200]!r} is not the name of a branch")
    return branch


def split_credentials(url: str) -> tuple[str, str | None]:
    """Return the address without its credentials, and the header that carries them.

    Any user of the machine could read credentials on a command line.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or "@" not in parts.netloc:
        return url, None
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    bare = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    return bare, _basic(unquote(user), unquote(password), even_empty=True)


def _basic(user: str, password: str | None, *, even_empty: bool = False) -> str | None:
    if not password and not even_empty:
        return None
    token = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    return f"Authorization: Basic {token}"


def _repository_urls(base: str, path: str) -> tuple[str, ...]:
    path = path.strip("/").removesuffix(".git")
    if not _NAME.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
        raise BuildFailed(f"{path[:200]!r} is not the name of a repository")
    address = f"{check_url(base).rstrip('/')}/{path}"
    return (f"{address}.git", address)


# ── Environment variables: lines of KEY=VALUE ───────────────────────────────────────────────────


def parse_variables(text: str | None) -> dict[str, str]:
    r"""Parse lines of KEY=VALUE as Dokploy does; a later line wins.

    Empty lines, comments and lines without a valid key are ignored. Quotes around a value are
    removed. A quoted value may span lines; in double quotes `\n` is a line break.
    """
    return {key: _unquoted(written_value(raw)) for key, raw in statements(text) if key}


def as_env_file(variables: Mapping[str, str]) -> str:
    """Return the text of an `.env` file that the usual readers parse to the same values."""
    return "".join(f"{key}={_quoted(value)}\n" for key, value in variables.items())


def _quoted(value: str) -> str:
    if re.fullmatch(r"[\w./:@%+,=-]*", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in ("'", '"', "`"):
        inner = value[1:-1]
        if value[0] != '"':
            return inner
        known = {"n": "\n", '"': '"', "\\": "\\"}
        return re.sub(r"\\(.)", lambda match: known.get(match[1], match[0]), inner)
    return value
