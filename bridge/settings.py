"""Settings: `bridge.yaml` and the environment → frozen models, read once.

The environment wins over the file; every setting has a variable, `BRIDGE_<SECTION>_<NAME>`
(or `BRIDGE_<NAME>` at the top), and every secret may come from a file, `…_FILE`. An unknown
key or variable is an error that names the nearest known one. pydantic-settings has no
`*_FILE` and lets unknown variables pass, so the reading is ours and the checking pydantic's.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from bridge.core import access
from bridge.core.access import EVERYONE, Access, Right
from bridge.core.database import SCHEMES
from bridge.core.decision import SKIP_DIRECTIVES, Policy
from bridge.core.errors import Rejected
from bridge.core.rules import RuleBook
from bridge.core.versions import BadRange, Range
from bridge.core.watch import Prereleases, Rules, Trigger

PREFIX = "BRIDGE_"
SHORTEST_KEY = 32


def _split(value: object) -> object:
    """A comma-separated text as a list, as it comes from the environment."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _yaml(value: object) -> object:
    """A text as YAML, as it comes from the environment."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value) or ()
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML{_line_of(error)}") from None


_WHO = re.compile(r"[UWS][A-Z0-9]{2,}|@[\w-]+(\.[\w-]+)+")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,}")

_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/\S*)?")


def _is_address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("it must look like https://example.com")
    return value


Address = Annotated[str, AfterValidator(_is_address)]
"""Where another service is, with its scheme and without a login."""

Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Uses = Annotated[tuple[Literal["comment", "status", "deployment"], ...], BeforeValidator(_split)]
"""What of a Git host shows what became of a push."""


class Github(Section):
    """GitHub or GitHub Enterprise Server."""

    webhook_secrets: Secrets = Field(
        (), description="secrets of its webhooks; several while you rotate them"
    )
    token: SecretStr | None = Field(
        None, description="a token: comments, statuses, changed files; or a GitHub App"
    )
    app_id: int | None = Field(None, gt=0, description="id of a GitHub App, instead of a token")
    private_key: SecretStr | None = Field(None, description="the App's private key, PEM")
    api_url: Address = Field(
        "https://api.github.com", description="base of its API; GHES: https://HOST/api/v3"
    )
    ca: str | None = Field(None, description="a PEM file with its certificate authority")
    feedback: Uses = Field(
        ("comment", "status", "deployment"),
        description="what shows there how a push went; empty: nothing",
    )


class Gitlab(Section):
    """GitLab.com or a server of your own."""

    webhook_tokens: Secrets = Field((), description="secret tokens of its webhooks")
    signing_tokens: Secrets = Field(
        (), description="signing tokens (whsec_…, GitLab 19.0): unsigned webhooks are refused then"
    )
    url: Address = Field("https://gitlab.com", description="where your GitLab is")
    token: SecretStr | None = Field(
        None, description="a project or group token: comments, statuses, changed files"
    )
    ca: str | None = Field(None, description="a PEM file with its certificate authority")
    feedback: Uses = Field(
        ("comment", "deployment"),
        description="what shows there how a push went; a status makes an external pipeline,"
        " which may hold up merges",
    )


class DokploySettings(Section):
    """The Dokploy that deploys; without a url the embedded backend does."""

    url: Address | None = Field(None, description="e.g. https://dokploy.example.com")
    api_key: SecretStr | None = Field(None, description="made without a rate limit")
    auth: Literal["api-key", "bearer"] = Field("api-key", description="how the key is sent")
    connect_timeout: float = Field(5.0, gt=0, description="seconds to reach it")
    read_timeout: float = Field(20.0, gt=0, description="seconds until it answers")
    max_connections: int = Field(16, ge=1, description="connections at a time")
    read_retries: int = Field(2, ge=0, description="further tries of what only reads")
    ca: str | None = Field(None, description="a PEM file with its certificate authority")
    allow_kill_build: bool = Field(
        False, description="cancel may interrupt all Docker builds on its host, other apps' too"
    )


class Embedded(Section):
    """The embedded backend, used where no Dokploy is set."""

    host: str = Field("127.0.0.1", description="address of its API and of the sites it serves")
    port: int = Field(8090, ge=0, le=65535, description="its port; 0 takes a free one")
    builds_concurrency: int = Field(2, ge=1, description="builds at a time")
    build_timeout: float = Field(1800.0, gt=0, description="seconds a build may take")
    build_memory: int = Field(
        8192, ge=256, description="MiB for any one program of a build; Docker has its own limits"
    )


class Slack(Section):
    """The team's chat, by HTTP (a signing secret) or by Socket Mode (an app token)."""

    bot_token: SecretStr | None = Field(None, description="xoxb-…; without it there is no chat")
    signing_secret: SecretStr | None = Field(
        None, description="for HTTP: what Slack signs its requests with"
    )
    app_token: SecretStr | None = Field(
        None, description="xapp-…, for Socket Mode: no public address is needed then"
    )
    team_id: str = Field("", description="the workspace (T…) that is served; else the token's")
    channel: str = Field("", description="where cards of apps go for which no rule names channels")
    api_url: Address = Field("https://slack.com/api/", description="base of its API")
    people_every: float = Field(
        300.0, gt=0, description="seconds until a person's groups and email are asked for again"
    )


class Web(Section):
    """The public listener."""

    max_body: int = Field(26 * 2**20, ge=1024, description="bytes of a webhook; GitHub sends 25 MB")
    max_in_flight: int = Field(
        96 * 2**20,
        ge=2**20,
        description="bytes of all bodies at a time; more has to wait",
    )
    body_timeout: float = Field(10.0, gt=0, description="seconds for a body to arrive")
    metrics_token: SecretStr | None = Field(
        None, description="a Bearer token that may read /metrics from other machines"
    )


class Watch(Section):
    """How watch paths and skip directives are read, for all apps."""

    semantics: Literal["exclude", "any"] = Field(
        "exclude", description="exclude: `!` excludes; any: as Dokploy up to v0.30.2, each alone"
    )
    picomatch: Literal["2.3.1", "2.3.2"] = Field(
        "2.3.1", description="the matcher's version, whose quirks patterns have"
    )
    skip_directives: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        SKIP_DIRECTIVES,
        description="texts in the head commit's message that prevent a deploy",
    )


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


class Grant(Section):
    """What some people may do by chat; what no grant allows is refused."""

    who: tuple[str, ...] = Field(
        description="user ids (U…), user groups (S…), email domains (@example.com), or everyone"
    )
    may: tuple[Right, ...] = Field(description="view, deploy, cancel, configure")
    apps: tuple[str, ...] = Field(("*",), description="labels or globs over them; * is every app")
    channels: tuple[str, ...] = Field((), description="only from these (C…); else from everywhere")

    @field_validator("who")
    @classmethod
    def _somebody(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if one != EVERYONE and not _WHO.fullmatch(one):
                raise ValueError(
                    f"{one!r} is nobody: write a user id (U…), a user group's id (S…),"
                    " an email domain (@example.com) or everyone"
                )
        return value

    @field_validator("channels")
    @classmethod
    def _by_id(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not _CHANNEL.fullmatch(one):
                raise ValueError(f"{one!r} is no channel's id, which looks like C024BE91L")
        return value


class Journey(Section):
    """How often to look and how long to wait, in seconds."""

    catalog_every: float = Field(60.0, gt=0, description="between two readings of the apps")
    catalog_eager: float = Field(
        3.0,
        ge=0,
        description="at least, between readings that pushes of unknown repositories cause",
    )
    push_window: float = Field(600.0, ge=0, description="the same push by two hooks deploys once")
    changes_patience: float = Field(
        10.0, ge=0, description="for a Git host to tell what a push changed; then it deploys"
    )
    look: float = Field(0.25, gt=0, description="first pause between looks at a deployment")
    look_at_most: float = Field(2.0, gt=0, description="longest pause between looks")
    adopt: float = Field(10.0, ge=0, description="to find what was asked for before a crash")
    lost: float = Field(
        120.0, gt=0, description="unseen at the backend until asked again once, then `unknown`"
    )
    long: float = Field(3600.0, gt=0, description="a build takes until that is said")
    deployments_at_a_time: int = Field(64, ge=1, description="followed by one process")


class Catchup(Section):
    """What hosts failed to deliver; works where their API may be asked (`github.token`, …)."""

    sweep: bool = Field(True, description="fetch deliveries that a host could not make")
    reconcile: bool = Field(
        True, description="find branches and tags that have moved without any webhook"
    )
    every: float = Field(300.0, gt=0, description="seconds between two rounds")
    grace: float = Field(90.0, ge=0, description="seconds that a webhook may take")
    hourly: float = Field(1200.0, gt=0, description="requests to the hosts an hour, at most")


class Retention(Section):
    """How long things are kept, in days; what has not ended is never forgotten."""

    bodies: float = Field(30.0, gt=0, description="bodies of webhooks; replay needs them")
    deliveries: float = Field(
        60.0, ge=4, description="ids of webhooks, by which repeated ones are known"
    )
    decisions: float = Field(365.0, gt=0, description="decisions and deployments")
    audit: float = Field(730.0, gt=0, description="who changed what")
    flows: float = Field(7.0, ge=1, description="ended workflows, the engine's own record")


class Feedback(Section):
    """How cards, comments and statuses are kept up to date; in seconds."""

    enabled: bool = Field(True, description="false shows nothing anywhere; deployments go on")
    debounce: float = Field(
        0.3, ge=0, description="from a change until it is shown, with what else changes by then"
    )
    poll: float = Field(1.0, gt=0, description="between looks for what other processes changed")
    retry: float = Field(1.0, gt=0, description="first pause where a place can't be reached")
    retry_at_most: float = Field(60.0, gt=0, description="longest pause between two tries")
    park_after: float = Field(
        86400.0, gt=0, description="of failing, then it is left until something changes"
    )
    longest: float = Field(120.0, gt=0, description="one place may take to be brought up to date")
    lease: float = Field(15.0, gt=0, description="until another process shows for one that died")
    lanes: int = Field(
        128, ge=1, description="channels and accounts that are written to at the same time"
    )


class Settings(Section):
    """Everything that can be set."""

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    data: Path = Field(Path(".bridge"), description="where everything is kept")
    database_url: SecretStr | None = Field(
        None,
        description="postgres://… keeps everything there instead, for one process or many",
    )
    secret_key: Secrets = Field(
        (),
        description="seals what must be kept secret for a while; without it a key file in `data`"
        " does, and with Postgres nothing. Several while you rotate them: the first seals",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, JSON elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least level that is logged"
    )
    github: Github = Github()
    gitlab: Gitlab = Gitlab()
    dokploy: DokploySettings = DokploySettings()
    backends: Annotated[dict[str, DokploySettings], BeforeValidator(_yaml)] = Field(
        {}, description="further Dokploys by name, each as `dokploy`; in the environment as YAML"
    )
    embedded: Embedded = Embedded()
    slack: Slack = Slack()
    web: Web = Web()
    watch: Watch = Watch()
    rules: Annotated[tuple[Rule, ...], BeforeValidator(_yaml)] = Field(
        (), description="our own rules for apps; in the environment as YAML"
    )
    access: Annotated[tuple[Grant, ...], BeforeValidator(_yaml)] = Field(
        (), description="who may do what by chat; in the environment as YAML"
    )
    journey: Journey = Journey()
    feedback: Feedback = Feedback()
    catchup: Catchup = Catchup()
    retention: Retention = Retention()

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < SHORTEST_KEY for key in value):
            raise ValueError(
                f"a key has at least {SHORTEST_KEY} characters: take what `openssl rand -hex 32`"
                " prints"
            )
        return value

    @field_validator("database_url", mode="before")
    @classmethod
    def _is_postgres(cls, value: object) -> object:
        if value == "":  # as platforms set what is not there
            return None
        if isinstance(value, str) and not value.startswith(SCHEMES):
            raise ValueError(f"it must begin with {' or '.join(SCHEMES)}")
        return value


def policy_of(settings: Settings) -> Policy:
    """How watch paths and skip directives are read."""
    return Policy(**settings.watch.model_dump())


def book_of(settings: Settings) -> RuleBook:
    """Our own rules for apps."""
    return [
        (rule.apps, Rules(**rule.model_dump(exclude={"apps", "channels"})))
        for rule in settings.rules
    ]


def channels_of(settings: Settings) -> list[tuple[str, tuple[str, ...]]]:
    """The channels that rules name for apps."""
    return [(rule.apps, rule.channels) for rule in settings.rules if rule.channels is not None]


def access_of(settings: Settings) -> Access:
    """Who may do what by chat."""
    return Access(
        [
            access.Grant(grant.who, frozenset(grant.may), grant.apps, grant.channels)
            for grant in settings.access
        ]
    )


PLAIN_VARIABLES = {"PORT": ("port",), "DATABASE_URL": ("database_url",)}
"""Variables without our prefix, as platforms set them."""

OTHER_VARIABLES = frozenset({"BRIDGE_CONFIG"})
"""Variables with our prefix that are no setting."""


def read_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the file, then the environment over it.

    Args:
        file: a YAML file; None reads `bridge.yaml` in the working directory, if there is one.

    Raises:
        Rejected: what is wrong, where, and how to mend it; never with a secret.
    """
    values = _read_file(file)
    for path, value, variable in _from_environment(environment):
        inner = values
        for name in path[:-1]:
            found = inner.setdefault(name, {})
            if not isinstance(found, dict):
                raise Rejected(f"{variable} is set, but {name} in the file is no section")
            inner = found
        inner[path[-1]] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise Rejected("; ".join(_problems(error))) from None


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


def _read_file(file: Path | None) -> dict[str, Any]:
    path = file or Path("bridge.yaml")
    if file is None and not path.exists():
        return {}
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise Rejected(f"{path} can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Rejected(f"{path} is not YAML{_line_of(error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise Rejected(f"{path} must hold settings by name, not a {type(values).__name__}")
    return values


def _line_of(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


def _from_environment(
    environment: Mapping[str, str],
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    known = variables()
    for variable, value in sorted(environment.items()):
        name = variable.removesuffix("_FILE")
        if variable in known:
            yield known[variable], value, variable
        elif name in known and name != variable:
            yield known[name], _secret_file(variable, value), variable
        elif variable.startswith(PREFIX) and variable not in OTHER_VARIABLES:
            raise Rejected(f"{variable} is no setting{_nearest(variable, known)}")


def _secret_file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(f"{variable}: {path} can't be read ({type(error).__name__})") from None


_PLAINER = {
    "missing": "it is missing",
    "model_type": "it must hold settings by name",
    "string_type": "it must be a text (in quotes, if it looks like a number)",
    "tuple_type": "it must be a list",
}
"""What pydantic says in Python's words, in those of YAML."""


def _problems(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        path = tuple(str(part) for part in problem["loc"])
        where = ".".join(path)
        if problem["type"] == "extra_forbidden":
            yield f"{where} is no setting{_nearest(path[-1], _names_at(path[:-1]))}"
        else:
            words = _PLAINER.get(problem["type"], problem["msg"].removeprefix("Value error, "))
            yield f"{where}: {words}"


def _names_at(path: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for name in path:
        if name.isdecimal():
            continue  # a place in a list of sections
        annotation = model.model_fields[name].annotation
        inner = next(iter(get_args(annotation)), annotation)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
