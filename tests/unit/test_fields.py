"""The table of fields: wherever one can be set, shown or stored, it is."""

from typing import Any

import pytest

from bridge.cli.root import commands
from bridge.core.configuration.fields import (
    BUILD,
    FIELDS,
    SECTIONS,
    SOURCES,
    Field,
    settable,
)
from tests.scenes.terminal import command

OPTIONS: dict[str, Any] = {
    words: {param.name: param for param in one.params} for words, one in commands(command())
}
"""By the words of a command its options, by name."""

SET = [
    *((f"provider set {kind}", one) for kind in SOURCES for one in settable(kind)),
    *(("build set", one) for one in BUILD),
]
"""By command each field that it sets."""


@pytest.mark.parametrize(("words", "field"), SET, ids=lambda one: getattr(one, "name", one))
def test_each_field_has_an_option_of_its_name(words: str, field: Field) -> None:
    option = OPTIONS[words][field.name]

    assert f"--{field.name.replace('_', '-')}" in option.opts or field.type is bool
    assert option.help.replace("\\", "") == field.help
    assert option.is_flag == (field.type is bool or field.secret)
    assert option.multiple == (field.type is tuple)


def test_a_command_sets_no_field_that_is_not_in_the_table() -> None:
    own = {"app", "forget", "config", "json", "yes", "help"}
    for words in {words for words, _ in SET}:
        asking = {f"{field.name}_stdin" for of, field in SET if of == words and field.asks}
        fields = {field.name for of, field in SET if of == words}
        assert OPTIONS[words].keys() - own == fields | asking


def test_a_secret_is_never_a_word_of_the_command_line() -> None:
    secret = [(words, field) for words, field in SET if field.secret]

    assert secret
    assert all(OPTIONS[words][f"{field.name}_stdin"].is_flag for words, field in secret)
    assert {one.name for one in FIELDS.values() if one.secret} == {"password", *SECTIONS}
