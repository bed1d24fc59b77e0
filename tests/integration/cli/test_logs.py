"""Logs: one record is one line, and holds no secrets."""

import io
import json
import logging

import pytest

from bridge.cli.logs import ConsoleLines, JsonLines, set_up_logs
from bridge.core.masking import Mask, always_hidden
from tests.worlds.rows import each_row
from tests.worlds.secrets import KINDS, printed


def record(event: str = "kept", level: int = logging.INFO, **fields) -> logging.LogRecord:
    one = logging.LogRecord("bridge.web", level, __file__, 1, event, (), None)
    one.created = 1_767_225_600.25
    vars(one).update(fields)
    return one


def test_a_record_is_a_json_object_with_its_fields() -> None:
    line = JsonLines().format(record(delivery="1", seconds=0.5))

    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "bridge.web",
        "event": "kept",
        "delivery": "1",
        "seconds": 0.5,
    }


def test_hiding_a_value_leaves_the_names_and_the_form_of_a_json_line() -> None:
    one = record("no sunshine", logging.WARNING, delivery="1", why={"sunshine": ["sunshine", 5]})

    with always_hidden(Mask(secrets=["sunshine", "delivery", "level", "4417299"])):
        shown = json.loads(JsonLines().format(one))
        number = json.loads(JsonLines().format(record(seconds=4417299)))

    assert (shown["level"], shown["event"], shown["delivery"]) == ("warning", "no ***", "1")
    assert shown["why"] == {"sunshine": ["***", 5]}
    assert number["seconds"] == "***"


@pytest.mark.parametrize("formatter", [JsonLines(), ConsoleLines(colours=False)])
def test_nobody_forges_a_line(formatter) -> None:
    shown = formatter.format(record("a\nb", why='x\r\n{"level": "error"}\u2028\x1b[2J'))

    assert len(shown.splitlines()) == 1
    assert "\x1b" not in shown


@pytest.mark.parametrize("formatter", [JsonLines(), ConsoleLines(colours=False)])
def test_secrets_are_hidden_by_their_names_and_in_addresses(formatter) -> None:
    shown = formatter.format(
        record(
            "clone of https://ada:hunter2@git.example.com/a failed",
            api_key="hunter2",
            webhook_secret="hunter2",
            x_gitlab_token="hunter2",
            url="https://oauth2:hunter2@git.example.com/a.git",
        )
    )

    assert "hunter2" not in shown
    assert "git.example.com/a.git" in shown


@pytest.mark.parametrize("formatter", [JsonLines(), ConsoleLines(colours=False)])
@each_row("kind", sorted(KINDS))
def test_no_kind_of_secret_is_logged(formatter, kind: str) -> None:
    secret = "QwertzUiop481AsdfghJkly"
    line = printed(kind, secret)
    one = record(f"it says {line}", why=line)
    one.exc_info = (ValueError, ValueError(f"two\n{line}"), None)

    shown = formatter.format(one)

    assert "***" in shown
    assert secret[:16] not in shown
    assert secret[:16].upper() not in shown
    if isinstance(formatter, JsonLines):
        assert len(shown.splitlines()) == 1
        assert "ValueError" in json.loads(shown)["exception"]


@pytest.fixture
def loggers():
    root = logging.getLogger()
    kept = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = kept


def test_a_pipe_gets_json_and_libraries_are_quiet(loggers) -> None:
    stream = io.StringIO()

    for_people = set_up_logs("auto", "debug", stream)
    logging.getLogger("httpx").info("HTTP Request: POST https://dokploy")
    logging.getLogger("bridge.here").debug("told", extra={"app": "a"})

    assert not for_people
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "told"


def test_the_console_form_can_be_asked_for(loggers) -> None:
    assert set_up_logs("console", "info", io.StringIO())
