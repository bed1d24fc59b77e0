"""Environment variables as people write them."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.variables import resolve
from bridge.embedded.building.sources import as_env_file, parse_variables
from tests.worlds.rows import each_row


@each_row(
    ("text", "found"),
    [
        (None, {}),
        ("", {}),
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("# note\n\nexport A=1\nno equals\n9X=1\nA B=1\n-C=1", {"A": "1", "9X": "1"}),
        ("URL=postgres://a:b@h/d?x=y", {"URL": "postgres://a:b@h/d?x=y"}),
        ("A='single $x'\nB=\"double\"", {"A": "single $x", "B": "double"}),
        ('A="one\\ntwo"', {"A": "one\ntwo"}),
        ('A="one\ntwo"\nB=3', {"A": "one\ntwo", "B": "3"}),
        ('A="open\nB=3', {"A": '"open', "B": "3"}),
        ("A=v # c\nB='v # c' # d\nC=\"v#c\"#d", {"A": "v", "B": "v # c", "C": "v#c"}),
        ("A=# c\nB=v#c\nC=`v # c`", {"A": "", "B": "v", "C": "v # c"}),
        ('A="one\ntwo" # c\nB=3', {"A": "one\ntwo", "B": "3"}),
        ("A='one\ntwo'\nB=3", {"A": "one\ntwo", "B": "3"}),
        ("A=", {"A": ""}),
        ("A= padded \r\nB=1\r\n", {"A": "padded", "B": "1"}),
        ('A="', {"A": '"'}),
    ],
)
def test_lines_are_read(text: str | None, found: dict[str, str]) -> None:
    assert parse_variables(text) == found


def test_references_are_filled_in_once() -> None:
    found = resolve(
        {"A": "${{project.P}}-${{ environment.E }}-${{B}}-${{project.NONE}}", "B": "${{A}}"},
        project={"P": "p"},
        environment={"E": "e"},
    )

    assert found["A"] == "p-e-${{A}}-${{project.NONE}}"


values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])).map(str.strip)
names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,10}", fullmatch=True)


@given(st.dictionaries(names, st.one_of(values, st.just("a\nb"), st.just('q"\\n'))))
def test_an_env_file_reads_back_as_it_was(variables: dict[str, str]) -> None:
    assert parse_variables(as_env_file(variables)) == variables
