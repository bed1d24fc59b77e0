"""From where an application's code is cloned. Pure."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from bridge.embedded.places import BuildFailed
from bridge.embedded.records.database import Record

TRANSPORTS = ("https", "http", "ssh", "git", "file")
"""What Git may speak. http is among them for servers in private networks."""

_SCP = re.compile(r"^(?:[\w.+-]+@)?[\w.-]+:(?!//)[^:].*$")
_HELPER = re.compile(r"^([A-Za-z0-9+.-]+)::")
_NAME = re.compile(r"[\w.~-]+(?:/[\w.~-]+)*")


@dataclass(frozen=True, slots=True)
class Clone:
    """What to clone.

    Attributes:
        urls: addresses to try one after another, without credentials.
        authorization: value of an HTTP header for `urls` and what lies below; never shown.
        shown: "GitHub", "GitLab" or "Custom", for the log.
    """

    urls: tuple[str, ...]
    branch: str
    build_path: str
    submodules: bool
    shown: str
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where the Git hosts are; None leaves it to the provider's own address.

    Attributes:
        github_token, gitlab_token: for private repositories; a provider's own comes first.
    """

    github_url: str | None = None
    gitlab_url: str | None = None
    github_token: str | None = None
    gitlab_token: str | None = None


def read_source(
    application: Record, hosts: Hosts, *, github: Record | None, gitlab: Record | None
) -> Clone:
    """Say what to clone for an application.

    Raises:
        BuildFailed: it has no Git source, or one that can't be used.
    """
    kind = application["sourceType"]
    if kind == "git":
        return _custom(application)
    if kind == "github":
        return _github(application, hosts, github)
    if kind == "gitlab":
        return _gitlab(application, hosts, gitlab)
    raise BuildFailed(f"source type {kind} is not supported by the embedded backend")


def _custom(app: Record) -> Clone:
    if not app["customGitUrl"]:
        raise BuildFailed("no Git repository is configured: save a Git provider first")
    url, authorization = split_credentials(check_url(app["customGitUrl"]))
    return Clone(
        urls=(url,) if authorization is None else _with_and_without_git(url),
        branch=check_branch(app["customGitBranch"]),
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
        branch=check_branch(app["branch"]),
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
        branch=check_branch(app["gitlabBranch"]),
        build_path=app["gitlabBuildPath"] or "/",
        submodules=bool(app["enableSubmodules"]),
        shown="GitLab",
        authorization=_basic("oauth2", known.get("accessToken") or hosts.gitlab_token),
    )


def check_url(url: str) -> str:
    """Let only plain addresses through; a local path becomes a `file://` address.

    Raises:
        BuildFailed: another transport (such as `ext::`, which runs commands), an option in
            disguise, or no address at all.
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
    raise BuildFailed(f"{url[:200]!r} is no address of a Git repository; write e.g. https://…")


def check_branch(branch: str | None) -> str:
    """Let only a name through that Git can't take for an option; raises BuildFailed."""
    if not branch:
        raise BuildFailed("no branch is configured")
    if branch.startswith("-") or any(char in branch for char in "\0\n\r ~^:?*[\\"):
        raise BuildFailed(f"{branch[:200]!r} is no name of a branch")
    return branch


def split_credentials(url: str) -> tuple[str, str | None]:
    """An address without its credentials, and the header that stands for them.

    Credentials on a command line could be read by every user of the machine.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or "@" not in parts.netloc:
        return url, None
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    bare = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    return bare, _basic(unquote(user), unquote(password), even_empty=True)


def _with_and_without_git(url: str) -> tuple[str, ...]:
    """An address that may lack its `.git`, which a host would add by a redirect."""
    plain = url.rstrip("/")
    return (url,) if plain.endswith(".git") or "?" in url else (url, f"{plain}.git")


def _basic(user: str, password: str | None, *, even_empty: bool = False) -> str | None:
    if not password and not even_empty:
        return None
    token = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    return f"Authorization: Basic {token}"


def _repository_urls(base: str, path: str) -> tuple[str, ...]:
    path = path.strip("/").removesuffix(".git")
    if not _NAME.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
        raise BuildFailed(f"{path[:200]!r} is no name of a repository")
    address = f"{check_url(base).rstrip('/')}/{path}"
    return (f"{address}.git", address)
