"""The file, then the environment over it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bridge.core.errors import Rejected
from bridge.settings.problems import problems
from bridge.settings.root import Settings
from bridge.settings.values import line_of, yaml_trouble
from bridge.settings.variables import from_environment


def read_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the file, then the environment over it.

    Args:
        file: a YAML file; None reads `bridge.yaml` in the working directory, if there is one.

    Raises:
        Rejected: what is wrong, where, and how to mend it; never with a secret.
    """
    values = _read_file(file)
    said_by: dict[tuple[str, ...], str] = {}
    for path, value, variable in from_environment(environment):
        inner = values
        for name in path[:-1]:
            found = inner.setdefault(name, {})
            if not isinstance(found, dict):
                raise Rejected(f"{variable} is set, but {name} in the file is no section")
            inner = found
        inner[path[-1]] = value
        said_by[path] = variable
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise Rejected("; ".join(problems(error, said_by))) from None


def _read_file(file: Path | None) -> dict[str, Any]:
    path = file or Path("bridge.yaml")
    if file is None and not path.exists():
        return {}
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise Rejected(f"{path} can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Rejected(f"{path} is not YAML{line_of(error)}: {yaml_trouble(error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise Rejected(f"{path} must hold settings by name, not a {type(values).__name__}")
    return values
