"""The variable of every setting, and what the environment gives."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bridge.core.errors import Rejected
from bridge.settings.problems import nearest
from bridge.settings.root import Settings

PREFIX = "BRIDGE_"
FILE = "_FILE"

PLAIN_VARIABLES = {"PORT": ("port",), "DATABASE_URL": ("database_url",)}
"""Variables without our prefix, as platforms set them."""

OTHER_VARIABLES = frozenset({"BRIDGE_CONFIG"})
"""Variables with our prefix that are no setting."""


def variables() -> dict[str, tuple[str, ...]]:
    """Every setting's variable → its path, e.g. `BRIDGE_GITHUB_TOKEN` → (github, token)."""
    named = {f"{PREFIX}{'_'.join(path).upper()}": path for path, _ in fields(Settings)}
    return named | PLAIN_VARIABLES


def fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Every setting as (path, pydantic's FieldInfo), sections spread out."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, (*above, name))
        else:
            yield (*above, name), field


def is_secret(field: Any) -> bool:
    """Whether a setting's value must not be shown."""
    return "SecretStr" in str(field.annotation)


def from_environment(
    environment: Mapping[str, str],
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is set there, as (path, value, variable).

    Raises:
        Rejected: a variable that is no setting, two for one setting, or a file that can't be read.
    """
    given_by: dict[tuple[str, ...], str] = {}
    for path, variable in set_there(environment):
        value = environment[variable]
        if (other := given_by.get(path)) and (
            from_file(variable) or from_file(other) or environment[other] != value
        ):
            raise Rejected(f"{other} and {variable} both give {'.'.join(path)}: unset one of them")
        given_by[path] = variable
        yield path, _in_file(variable, value) if from_file(variable) else value, variable


def set_there(environment: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What the environment sets, as (path, variable), in the order in which it is read.

    An empty variable is not set: that is how Compose files pass on what may not be there.

    Raises:
        Rejected: a variable that is no setting.
    """
    known = variables()
    for variable, value in sorted(environment.items()):
        path = known.get(variable) or known.get(variable.removesuffix(FILE))
        if path is None and variable.startswith(PREFIX) and variable not in OTHER_VARIABLES:
            raise Rejected(f"{variable} is no setting{nearest(variable, known)}")
        if path is not None and value.strip():
            yield path, variable


def from_file(variable: str) -> bool:
    """Whether a variable names a file that holds the value."""
    return variable.endswith(FILE)


def _in_file(variable: str, path: str) -> str:
    try:
        value = Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise Rejected(f"{variable}: {path} can't be read ({type(error).__name__})") from None
    if not value:
        raise Rejected(f"{variable}: {path} is empty; write the value into it, or unset {variable}")
    return value
