"""What one setting may hold: a list, YAML, an address, secrets; and what a section is."""

import re
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def as_list(value: object) -> object:
    """A comma-separated text as a list, as it comes from the environment."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def as_yaml(value: object) -> object:
    """A text as YAML, as it comes from the environment."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value) or ()
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML{line_of(error)}") from None


def line_of(error: Exception) -> str:
    """Where YAML is broken, as far as the error says."""
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/\S*)?")


def _is_address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("it must look like https://example.com")
    return value


Address = Annotated[str, AfterValidator(_is_address)]
"""Where another service is, with its scheme and without a login."""

Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(as_list)]
