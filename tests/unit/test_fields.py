"""The table of fields: wherever one can be set, shown or stored, it is."""

from typing import Any

from pydantic import SecretStr

from bridge.backends.dokploy.models import Service, Settings
from bridge.chats.slack.blocks import name_of
from bridge.chats.slack.config_forms import build_fields, environment_fields
from bridge.chats.slack.source_form import BESIDE, SourceForm, source_fields
from bridge.cli.root import commands
from bridge.core.configuration.configuration import (
    MODELS,
    BuildType,
    Environment,
    ProviderSettings,
    fields_of,
    row_of,
)
from bridge.core.configuration.difference import RULES
from bridge.core.configuration.fields import (
    BUILD,
    COLUMNS,
    ENVIRONMENT,
    FIELDS,
    SECTIONS,
    SHARED,
    SOURCE,
    SOURCES,
    settable,
)
from tests.scenes.shop import WEB
from tests.scenes.slack_provider import ACCOUNTS, DOCKER, GIT, GITEA, GITHUB, GITLAB, configured
from tests.scenes.terminal import command
from tests.worlds.rows import each_row

OPTIONS: dict[str, Any] = {
    words: {param.name: param for param in one.params} for words, one in commands(command())
}
"""By the words of a command its options, by name."""

SET = [
    *((f"provider set {kind}", one) for kind in SOURCES for one in settable(kind)),
    *(("build set", one) for one in BUILD),
]
"""By command each field that it sets."""


@each_row(("words", "field"), SET, ids=lambda one: getattr(one, "name", one))
def test_each_field_has_an_option_of_its_name_and_no_secret_is_a_word(words, field) -> None:
    option = OPTIONS[words][field.name]

    assert f"--{field.name.replace('_', '-')}" in option.opts or field.type is bool
    assert option.help.replace("\\", "") == field.help
    assert option.is_flag == (field.type is bool or field.secret)
    assert option.multiple == (field.type is tuple)
    assert not field.secret or OPTIONS[words][f"{field.name}_stdin"].is_flag


def test_a_command_sets_no_field_that_is_not_in_the_table() -> None:
    own = {"app", "forget", "config", "json", "plan", "yes", "help"}
    for words in {words for words, _ in SET}:
        asking = {f"{field.name}_stdin" for of, field in SET if of == words and field.asks}
        fields = {field.name for of, field in SET if of == words}
        assert OPTIONS[words].keys() - own == fields | asking
    assert {one.name for one in FIELDS.values() if one.secret} == {"password", *SECTIONS}


@each_row("kind", SOURCES)
def test_a_source_has_the_fields_of_its_kind_that_a_backend_can_hold(kind: str) -> None:
    model = MODELS[kind].model_fields
    own = {one.name: one for one in SOURCE if kind in one.columns}

    assert own.keys() == model.keys() - {"type", *SHARED}
    assert model.keys() - {"type"} <= {one.name for one in settable(kind)}
    assert [one.name for one in own.values() if one.required] == [
        name for name in own if model[name].is_required()
    ]
    assert all(one.empty == model[name].default for name, one in own.items() if one.empty)


def test_builds_variables_and_rules_have_the_fields_of_the_table() -> None:
    ruled = {one.name for one in FIELDS.values() if one.ruled}

    assert [one.name for one in BUILD] == list(BuildType.model_fields)
    assert [one.name for one in ENVIRONMENT] == list(Environment.model_fields)
    assert ruled == set(RULES.values()) - {"watch_paths", "pin"}
    assert all(one.columns or one.ruled for one in FIELDS.values())


def test_the_stored_row_has_every_column_once() -> None:
    row = {name: f"{name} of the backend" for name in COLUMNS}
    numbers = {"submodules": True, "watch_paths": ("web/**",), "gitlab.project_id": 7}
    sealed = {"docker.password": SecretStr("hunter2")}

    assert fields_of(row_of(row | numbers | sealed)) == row | numbers | sealed
    assert len(set(COLUMNS.values())) == len(COLUMNS)
    assert "hunter2" not in repr(row_of(row | numbers | sealed))


def test_dokploy_s_answer_has_a_field_for_each_column_and_the_list_of_apps_no_secret() -> None:
    columns = {column: one for one in FIELDS.values() for column in one.columns.values()}
    parsed = {its.alias or name: its for name, its in Settings.model_fields.items()}

    assert len(columns) == sum(len(one.columns) for one in FIELDS.values())
    assert {one.name for one in FIELDS.values() if not one.columns} == {
        one.name for one in SOURCE if one.ruled and one.name != "trigger"
    }
    for column, one in columns.items():
        assert ("SecretStr" in str(parsed[column].annotation)) == one.secret, column
        assert not one.secret or column not in Service.model_fields
    assert Service.model_validate({"gitlabOwner": "a"}).stored("gitlab.owner") == "a"


SAVED: dict[str, ProviderSettings] = {one.type: one for one in (GITHUB, GITLAB, GITEA, GIT, DOCKER)}


def inputs(blocks: list[dict[str, Any]]) -> dict[str, str]:
    """The inputs of a form by name, boxes to tick too, each with what is said of it."""
    found: dict[str, str] = {}
    for block in blocks:
        if block["type"] == "input":
            found[name_of(block["block_id"])] = block["label"]["text"]
            for one in block["element"].get("options", ()):
                found.setdefault(one["value"], one["text"]["text"])
    return found


@each_row("kind", SOURCES)
def test_each_field_of_a_source_has_an_input(kind: str) -> None:
    now = configured(SAVED[kind])
    forms = [SourceForm(WEB, now, (), {"trigger": trigger}) for trigger in ("push", "tag")]
    drawn = {name: label for form in forms for name, label in inputs(source_fields(form)).items()}
    chosen = inputs(source_fields(SourceForm(WEB, now, ACCOUNTS)))

    for one in settable(kind):
        if one.name == "skip_directives":  # for the command line alone
            continue
        beside = {one.name, *BESIDE.get(one.name, ())}
        assert beside & (drawn.keys() | chosen.keys()), one.name
        assert one.name in BESIDE or drawn[one.name] == one.label


def test_each_field_of_a_build_and_each_section_of_variables_has_an_input() -> None:
    types = FIELDS["build_type"].choices
    drawn = {kind: inputs(build_fields(configured(GITHUB, build_type=kind))) for kind in types}
    variables = str(environment_fields(WEB, configured(GITHUB)))

    for one in BUILD:
        assert set(one.builds) <= types.keys()
        assert {drawn[kind][one.name] for kind in one.builds or types} == {one.label}
    assert [one.name for one in ENVIRONMENT if FIELDS[one.name].label not in variables] == []
