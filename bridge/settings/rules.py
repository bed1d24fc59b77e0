"""What deploys an app: how paths are read for all, and our own rules for some."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from bridge.core.decision import SKIP_DIRECTIVES
from bridge.core.versions import BadRange, Range
from bridge.core.watch import Prereleases, Trigger
from bridge.settings.values import Section, as_choice


class Watch(Section):
    """How watch paths and skip directives are read, for all apps."""

    semantics: Literal["exclude", "any"] = Field(
        "exclude", description="exclude: `!` excludes; any: as Dokploy up to v0.30.2, each alone"
    )
    picomatch: Literal["2.3.1", "2.3.2"] = Field(
        "2.3.1", description="the matcher's version, whose quirks patterns have"
    )
    skip_directives: Annotated[tuple[str, ...], BeforeValidator(as_choice)] = Field(
        SKIP_DIRECTIVES,
        description="texts in the head commit's message that prevent a deploy; none: no text does",
    )

    @field_validator("skip_directives")
    @classmethod
    def _not_in_every_text(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(one.strip() for one in value):
            raise ValueError("a text is empty, which every message has in it; leave it out")
        return value


class Rule(Section):
    """What the bridge itself says of some apps, where Dokploy's record can't hold it."""

    apps: str = Field(description="a label or a glob over labels, e.g. shop/*")
    trigger: Trigger | None = Field(None, description="push or tag, on any host")
    branch: str | None = Field(None, description="a name or glob in place of the backend's branch")
    watch_paths: tuple[str, ...] | None = Field(None, description="in place of the backend's")
    tags: str | None = Field(None, description="a glob that tags must match, e.g. v*")
    versions: str | None = Field(None, description="a range that versions must be in: >=1.2 <2")
    tag_prefix: str | None = Field(None, description="what stands before a version, e.g. api-v")
    prereleases: Prereleases | None = Field(
        None, description="deploy, skip or only; skip where versions is set, else deploy"
    )
    only_newer: bool | None = Field(None, description="never an older version after a newer one")
    skip_directives: bool | None = Field(None, description="false deploys even with [skip ci]")
    channels: tuple[str, ...] | None = Field(
        None, description="Slack channels for its cards, ids or #names, in place of slack.channel"
    )

    @field_validator("versions")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                Range.parse(value)
            except BadRange as error:
                raise ValueError(str(error)) from None
        return value
