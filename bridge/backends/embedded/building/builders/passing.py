"""Gives variables to the tools of a build: in their environment, never on a command line.

Every user of the machine can read command lines. A name that would change how the tool itself
runs can't be given in its environment either, so it is left out, and the log says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.backends.embedded.building.builders.work import Work
from bridge.backends.embedded.words import words

_RESERVED = frozenset(words("PATH HOME SHELL TMPDIR IFS ENV BASH_ENV SSH_AUTH_SOCK"))
_RESERVED_PREFIXES = ("LD_", "DYLD_", "DOCKER_", "BUILDKIT_", "GIT_", "SSL_", "XDG_", "CNB_")


@dataclass(frozen=True, slots=True)
class Passed:
    """The ways in which a build tool takes variables.

    Attributes:
        argv: arguments that name them.
        env: holds their values.
    """

    argv: list[str]
    env: dict[str, str]


async def by_name(
    work: Work, tool: str, option: str, variables: Mapping[str, str], *, form: str = "{name}"
) -> Passed:
    """Name variables to a tool, each with an option; says in the log which are left out.

    Args:
        form: what follows the option.
    """
    passed = {name: value for name, value in variables.items() if not _is_reserved(name)}
    if left_out := sorted(variables.keys() - passed.keys()):
        names = ", ".join(left_out)
        await work.runner.log.say(f"Left out, since {tool} itself would read them: {names}")
    argv = [part for name in passed for part in (option, form.format(name=name))]
    return Passed(argv, passed)


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name.startswith(_RESERVED_PREFIXES)
