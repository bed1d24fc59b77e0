"""The variable of every setting, and what the environment gives."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bridge.core.errors import Rejected
from bridge.settings.problems import nearest
from bridge.settings.root import Settings

PREFIX = "BRIDGE_"

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
        Rejected: a variable that is no setting, or a file of a secret that can't be read.
    """
    known = variables()
    for variable, value in sorted(environment.items()):
        name = variable.removesuffix("_FILE")
        if variable in known:
            yield known[variable], value, variable
        elif name in known and name != variable:
            yield known[name], _secret_file(variable, value), variable
        elif variable.startswith(PREFIX) and variable not in OTHER_VARIABLES:
            raise Rejected(f"{variable} is no setting{nearest(variable, known)}")


def _secret_file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(f"{variable}: {path} can't be read ({type(error).__name__})") from None
