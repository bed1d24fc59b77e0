"""Why a field can't be what was asked: the rule, the value and the remedy; never a secret."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr, ValidationError

from bridge.core.configuring.difference import masked
from bridge.core.errors import Rejected, Unfit
from bridge.core.globs import Glob, GlobError
from bridge.core.misfits import rule
from bridge.core.versions import Range
from bridge.core.watch import Prereleases, Trigger

_REMEDIES = {
    "branch": "a branch that is built has letters, digits and . _ - / #;"
    " for a pattern of branches whose pushes deploy, set `branches`",
    "project_id": "it is GitLab's number of the project, shown on the project's page",
    "build_type": "it is one of dockerfile, nixpacks, railpack, heroku_buildpacks,"
    " paketo_buildpacks, static",
    "trigger": "it is push or tag",
}

_SECRET = {"password"}
_IN_COMMANDS = frozenset(
    {
        *("url", "owner", "repository", "path", "build_path", "dockerfile"),
        *("docker_context_path", "docker_build_stage", "publish_directory"),
        *("heroku_version", "railpack_version"),
    }
)
_OF_A_SHELL = re.compile(r"""^-|[`$;&|<>\\"'\x00-\x1f\x7f]""")
_REMOTE = re.compile(r"(?:https?|ssh|git)://[^/-]|[\w.-]+@[\w.-]+:(?!/?/)")
_IMAGE = re.compile(r"[A-Za-z0-9][\w.\-/:@+]*")


def problem(error: ValidationError, what: str, given: Mapping[str, Any]) -> Rejected:
    """The first thing that does not fit, for people."""
    first = error.errors(include_url=False)[0]
    name = next((str(part) for part in first["loc"] if str(part) in given), str(first["loc"][-1]))
    remedy = _REMEDIES.get(name) or rule(first)
    return Unfit(name, f"{name} of the {what} can't be {_shown(name, given.get(name))}: {remedy}")


def _shown(name: str, value: Any) -> str:
    if name in _SECRET or isinstance(value, SecretStr):
        return "what was given"
    if value in ("", None):
        return "empty"
    if isinstance(value, str | int):
        return repr(masked(value))[:120]
    return f"a {type(value).__name__}"


def incomplete(kind: str, missing: Sequence[str]) -> Rejected:
    """A kind of source needs more than the app has and than was asked."""
    those = "that" if len(missing) == 1 else "those"
    where = ""
    if "provider_id" in missing:
        where = "; provider_id is the id of a Git account that the backend has"
    return Unfit(
        missing[0],
        f"a {kind} source needs {', '.join(missing)} too: the app has none of {those} yet{where}",
    )


def checked_address(url: object) -> None:
    """A clone address that git would take for an option or a command; raises Rejected."""
    if isinstance(url, str) and re.search(r"\s|[\x00-\x1f\x7f]|^-|^\w+::", url):
        raise Unfit(
            "url",
            "url can't be a clone address: it holds white space, begins with a dash, or names a"
            " transport that runs commands; write https://host/owner/repo.git or"
            " git@host:owner/repo.git",
        )


def checked_words(asked: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Names, paths and addresses that a shell would read as commands; raises Rejected.

    Backends write them into command lines, and who may configure one app there must not run
    anything beside it. What is so already is left alone.
    """
    for name in _IN_COMMANDS & asked.keys():
        value = asked[name]
        if not isinstance(value, str) or value == known.get(name):
            continue
        found = _OF_A_SHELL.search(value)
        if found is not None:
            raise Unfit(
                name,
                f"{name} can't be what was given: {found[0]!r} would be read as part of a"
                " command; in an address write it percent-encoded, in a path use another name",
            )


def checked_remote(url: object) -> None:
    """A clone address that leads to no Git server, as a folder of the backend's own machine.

    Whoever may only configure apps by chat must not have the backend read its own disk.
    Raises Rejected.
    """
    checked_address(url)
    if isinstance(url, str) and not re.match(_REMOTE, url):
        raise Unfit(
            "url",
            "url can't be a clone address here: it names no Git server; write"
            " https://host/owner/repo.git, ssh://git@host/owner/repo.git or"
            " git@host:owner/repo.git",
        )


def checked_image(image: object) -> None:
    """An image that docker would take for an option, or that can't be one; raises Rejected."""
    if isinstance(image, str) and not re.fullmatch(_IMAGE, image):
        raise Unfit(
            "image",
            f"image can't be {image[:120]!r}: write it as registry/owner/name:tag, without white"
            " space and not beginning with a dash",
        )


def unknown(name: str, what: str, known: Sequence[str]) -> Rejected:
    """There is no such field here."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return Rejected(f"{name[:40]} is no field of a {what}; {remedy}")


def checked_rule(name: str, value: Any) -> Any:
    """A field of our own rules as `Rules` has it; None takes it away. Raises Rejected."""
    if value is None:
        return None
    try:
        return _RULES[name](value)
    except GlobError as error:
        raise Unfit(
            name,
            f"{name} can't be {str(value)[:120]!r}: {error.reason}; write a glob such as v* or"
            " release/*",
        ) from None
    except Rejected as error:
        raise Unfit(name, f"{name} can't be {str(value)[:120]!r}: {error}") from None
    except ValueError:
        words = " or ".join(_WORDS.get(name, ("true", "false")))
        raise Unfit(name, f"{name} can't be {str(value)[:120]!r}: it is {words}") from None


def _glob(value: str) -> str:
    Glob(value)
    return value


def _range(value: str) -> str:
    Range.parse(value)
    return value


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError


_RULES: dict[str, Callable[[Any], Any]] = {
    "trigger": Trigger,
    "branches": _glob,
    "tags": _glob,
    "versions": _range,
    "tag_prefix": str,
    "prereleases": Prereleases,
    "only_newer": _flag,
    "skip_directives": _flag,
}
_WORDS = {"trigger": tuple(Trigger), "prereleases": tuple(Prereleases)}
