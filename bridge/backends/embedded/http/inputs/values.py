"""What a field may hold, and the base of all inputs."""

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

APP_NAME_PATTERN = r"^[a-zA-Z0-9._-]+$"
BRANCH_PATTERN = r"^[a-zA-Z0-9._\-/#]+$"


_SURROGATE = re.compile("[\ud800-\udfff]")


def _storable(text: str) -> str:
    """Refuse what a command line can't hold, and what is no text."""
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    if _SURROGATE.search(text):
        raise ValueError("must not contain half of a surrogate pair")
    return text


def _no_option(branch: str) -> str:
    """Git itself forbids such branches; here they must never be read as an option."""
    if branch.startswith("-"):
        raise ValueError("Invalid branch name")
    return branch


# Constraints stand before the validators, so that their messages speak of strings. What only
# a validator knows is told to the API's description beside it.
_STORABLE = AfterValidator(_storable)
_NO_NUL: JsonDict = {"pattern": r"^[^\u0000]*$"}
Text = Annotated[str, _STORABLE, Field(json_schema_extra=_NO_NUL)]
Id = Annotated[str, Field(min_length=1, json_schema_extra=_NO_NUL), _STORABLE]
Name = Id
AppName = Annotated[str, Field(min_length=1, max_length=63, pattern=APP_NAME_PATTERN), _STORABLE]
Branch = Annotated[
    str,
    Field(
        min_length=1,
        pattern=BRANCH_PATTERN,
        json_schema_extra={"pattern": r"^[a-zA-Z0-9._/#][a-zA-Z0-9._\-/#]*$"},
    ),
    _STORABLE,
    AfterValidator(_no_option),
]


def _number(value: object) -> object:
    """A text of digits is coerced to a number, as the original does."""
    return int(value) if isinstance(value, str) and re.fullmatch(_DIGITS, value) else value


_DIGITS = r"-?[0-9]{1,9}"
Number = Annotated[
    int,
    BeforeValidator(_number),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{_DIGITS}$"}]}),
]

WatchPaths = list[Text] | None
SourceTypes = Literal["github", "docker", "git", "gitlab", "bitbucket", "gitea", "drop"]
BuildTypes = Literal[
    "dockerfile", "heroku_buildpacks", "paketo_buildpacks", "nixpacks", "static", "railpack"
]
Triggers = Literal["push", "tag"]
DeploymentTypes = Literal[
    "application", "compose", "server", "schedule", "previewDeployment", "backup", "volumeBackup"
]
Limit = Annotated[float, Field(ge=1, le=100, strict=False, allow_inf_nan=False)]
Offset = Annotated[float, Field(ge=0, strict=False, allow_inf_nan=False)]


class Input(BaseModel):
    """Base of all inputs; nothing is converted, a number is no string."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


class Nothing(Input):
    """A query without parameters."""
