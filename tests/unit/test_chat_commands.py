"""The grammar of what people type: a table, and that nothing typed can break it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.chat.grammar import USAGE, Command, Unclear, Verb, parse_chat, written
from tests.worlds.rows import each_row

D, R, C = Verb.DEPLOY, Verb.REDEPLOY, Verb.CANCEL


@each_row(
    ("typed", "meant"),
    [
        ("", Command(Verb.HELP)),
        ("   ", Command(Verb.HELP)),
        ("help", Command(Verb.HELP)),
        ("help deploy", Command(Verb.HELP, rest="deploy")),
        ("help nonsense", Command(Verb.HELP)),
        ("?", Command(Verb.HELP)),
        ("deploy", Command(D)),
        ("deploy web", Command(D, "web")),
        ("DEPLOY: web", Command(D, "web")),
        ("  deploy   shop/web  ", Command(D, "shop/web")),
        ("deploy web@main", Command(D, "web", "main")),
        ("deploy web@feature/a", Command(D, "web", "feature/a")),
        ("deploy web@a@b", Command(D, "web", "a@b")),
        ("deploy `web`", Command(D, "web")),
        ("deploy “web”", Command(D, "web")),
        ("deploy *web*", Command(D, "web")),
        ("deploy <http://web.example.com|web.example.com>", Command(D, "web.example.com")),
        ("deploy <https://web.example.com>", Command(D, "web.example.com")),
        ("deploy <mailto:web@main.io|web@main.io>", Command(D, "web", "main.io")),
        ("deploy a&amp;b", Command(D, "a&b")),
        ("deploy\u00a0web", Command(D, "web")),
        ("deploy we\u202eb", Unclear("", ("deploy we",))),
        ("deploy web api", Unclear("", ("deploy web",))),
        ("deploy @main", Unclear("")),
        ("deploy web@", Unclear("", ("deploy web",))),
        ("redeploy web", Command(R, "web")),
        ("rebuild web", Command(R, "web")),
        ("redeploy web@main", Unclear("", ("redeploy web",))),
        ("cancel", Command(C)),
        ("cancel web", Command(C, "web")),
        ("stop web", Command(C, "web")),
        ("status", Command(Verb.STATUS)),
        ("status web", Command(Verb.STATUS, "web")),
        ("history", Unclear("")),
        ("history web", Command(Verb.HISTORY, "web")),
        ("why", Unclear("")),
        ("why web", Command(Verb.WHY, "web")),
        ("why web ABC1234", Command(Verb.WHY, "web", rest="abc1234")),
        ("why web main", Unclear("", ("why web",))),
        ("why web abcd more", Unclear("", ("why web",))),
        ("apps", Command(Verb.APPS)),
        ("apps shop web", Command(Verb.APPS, rest="shop web")),
        ("provider", Command(Verb.PROVIDER)),
        ("provider web", Command(Verb.PROVIDER, "web")),
        ("whoami", Command(Verb.WHOAMI)),
        ("whoami please", Unclear("", ("whoami",))),
        ("delpoy web", Unclear("", ("deploy web", "redeploy web"))),
        ("statsu", Unclear("", ("status",))),
        ("frobnicate web", Unclear("")),
    ],
)
def test_what_is_typed_after_the_command(typed: str, meant: Command | Unclear) -> None:
    found = parse_chat(typed)

    if isinstance(meant, Unclear):
        assert isinstance(found, Unclear)
        assert found.why
        assert found.suggestions == meant.suggestions
    else:
        assert found == meant


@each_row(
    ("verb", "typed", "meant"),
    [
        (D, "", Command(D)),
        (D, "web@main", Command(D, "web", "main")),
        (D, "help", Command(Verb.HELP, rest="deploy")),
        (R, "web", Command(R, "web")),
        (C, "shop/web", Command(C, "shop/web")),
        (Verb.PROVIDER, "web", Command(Verb.PROVIDER, "web")),
    ],
)
def test_short_commands_have_the_same_grammar(verb: Verb, typed: str, meant: Command) -> None:
    assert parse_chat(typed, verb) == meant


@settings(max_examples=50)
@given(st.text(max_size=600), st.sampled_from([None, *Verb]))
def test_nothing_typed_breaks_it_and_suggestions_are_commands(
    typed: str, verb: Verb | None
) -> None:
    found = parse_chat(typed, verb)

    if isinstance(found, Unclear):
        assert found.why
        assert all(isinstance(parse_chat(one), Command) for one in found.suggestions)


@settings(max_examples=50)
@given(
    st.sampled_from([D, R, C, Verb.STATUS]),
    st.from_regex(r"[a-z0-9][a-z0-9./_-]{0,30}", fullmatch=True),
)
def test_a_command_written_down_is_read_back(verb: Verb, name: str) -> None:
    command = Command(verb, name)

    assert parse_chat(written(command)) == command


def test_every_command_says_how_it_is_written() -> None:
    assert set(USAGE) == set(Verb)
