"""Approvals are by different people, whatever doors, accounts and addresses they use."""

from dataclasses import dataclass, replace
from time import process_time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.gates.approvals import Approval, Objection, counting, objection
from bridge.core.holds import Proposal
from bridge.core.people import Brought, Identities, Writer, brought, co_authors
from tests.worlds.rows import each_row

HEAD, OLDER = "abc1234" + "0" * 33, "def5678" + "0" * 33
GITHUB = "github"
ADA = Writer("ada", "1", "ada@example.org", HEAD)
ALIAS = Writer(email="ada@home.example", commit=OLDER)
BOB = Writer("bob", "2", "bob@example.org", HEAD)
GRACE = {"person": "slack:U2", "name": "Grace", "email": "grace@example.org"}
KNOWN = Identities({"grace": frozenset({"slack:U2", "github:grace"})})


def approval(**facts: Any) -> Approval:
    made = Approval("app-web", HEAD, "github:grace", "Grace", "grace@example.org", 9.0, ())
    return replace(made, **facts)


def proposal(who: Brought, **facts: Any) -> Proposal:
    made = Proposal(HEAD, authors=tuple(who.authors), unknown=who.unknown, by=who.by)
    return replace(made, since=0.0, **facts)


def of(*writers: Writer, identities: Identities = KNOWN, **facts: Any) -> Brought:
    return brought(GITHUB, [(GITHUB, one) for one in writers], identities, **facts)


BY_ADA = "github:ada"
RECOGNISED: dict[str, Any] = {
    "an account of the Git host": ({}, [ADA], (), None),
    "the author's account": ({"person": BY_ADA}, [ADA], (), Objection.WROTE),
    "the author's account of another name": (
        {"person": "github:ada-2", "accounts": ("github:#1",)}, [ADA], (), Objection.WROTE,
    ),
    "the author of an earlier commit": (
        {"person": BY_ADA}, [BOB, replace(ADA, commit=OLDER)], (), Objection.WROTE,
    ),
    "the address of a co-author": (
        GRACE, [ADA, Writer(email="grace@example.org")], (), Objection.WROTE,
    ),
    "a chat, joined by the settings": (GRACE, [ADA], (), None),
    "a chat, joined to nothing": (
        GRACE | {"person": "slack:U9"}, [ADA], (), Objection.UNRECOGNISED,
    ),
    "the command line": ({"person": "cli:grace"}, [ADA], (), Objection.UNRECOGNISED),
    "who asked": ({}, [ADA], ("github:grace",), Objection.ASKED),
    "who asked, by another door": (GRACE, [ADA], ("github:grace",), Objection.ASKED),
    "who asked, by an earlier name": (
        {"accounts": ("github:#9",)}, [ADA], ("github:grace-1", "github:#9"), Objection.ASKED,
    ),
    "somebody else asked": ({}, [ADA], ("github:bob",), None),
    "somebody asked by a door that tells nothing": ({}, [ADA], ("cli:eve",), Objection.ASKER),
    "another of the same chat asked": (GRACE, [ADA], ("slack:U9",), None),
    "another of the command line asked": (
        GRACE | {"person": "cli:grace"}, [ADA], ("cli:eve",), Objection.UNRECOGNISED,
    ),
    "an author whose alias leads to no account": ({}, [BOB, ALIAS], (), Objection.AUTHORS),
    "an author by an address like a private one, that the host links to nobody": (
        {}, [Writer("x", "", "x@users.noreply.evil", HEAD, linked=False)], (), Objection.AUTHORS,
    ),
    "an account by a private address": (
        {"person": BY_ADA}, [replace(ADA, linked=False)], (), Objection.WROTE,
    ),
    "an author by an address like an account": (
        {}, [Writer(email="github:nobody", commit=HEAD)], (), Objection.AUTHORS,
    ),
    "a commit of which a webhook tells the address and the host the account": (
        {}, [Writer(email=ADA.email, commit=OLDER), ADA], (), None,
    ),
    "an author by an address alone, that another's is not": (
        GRACE | {"person": "gitlab:grace"}, [Writer(email=ADA.email, commit=HEAD)], (),
        Objection.AUTHORS,
    ),
    "a pusher by an account alone": ({}, [ADA, Writer("bob", "2")], (), None),
    "an author of whom nothing is told": ({}, [Writer(commit=HEAD)], (), Objection.AUTHORS),
}  # fmt: skip


@each_row("name", RECOGNISED)
def test_an_approval_counts_if_it_is_certain_that_somebody_else_gives_it(name: str) -> None:
    facts, writers, asker, wanted = RECOGNISED[name]
    one, who = approval(**facts), of(*writers)

    assert objection(one, asker, proposal(who), KNOWN) is wanted
    by_anyone = objection(one, asker, proposal(who, anyone=True), KNOWN)
    assert by_anyone is (wanted if wanted in (Objection.WROTE, Objection.ASKED) else None)
    # A joined account of the host tells who an author is, and no other entry does.
    assert of(ALIAS, identities=Identities({"ada": frozenset({ALIAS.email})})).unknown
    joined = Identities({"ada": frozenset({ALIAS.email, BY_ADA})})
    assert of(ALIAS, identities=joined) == Brought(frozenset({ALIAS.email, BY_ADA}), "", (GITHUB,))


def test_thousands_of_co_authors_are_told_apart_at_once() -> None:
    """Any commit's message can name them, and the event loop waits."""
    named = [Writer(email=f"{number}@example.org") for number in range(5_000)]
    began = process_time()

    found = of(ADA, *named, ALIAS, replace(ALIAS, login="ada"))

    assert process_time() - began < 0.5
    assert len(found.authors) == 5_004
    assert not found.unknown


def test_two_accounts_that_a_third_shows_to_be_one_person_count_once() -> None:
    given_ = [
        approval(),
        approval(person="github:grace-2", email="g@example.org"),
        approval(person="github:grace-3", email="g@example.org", accounts=("github:grace",)),
    ]

    assert len(counting(given_[:2], (), proposal(of(ADA)), KNOWN)) == 2
    assert len(counting(given_, (), proposal(of(ADA)), KNOWN)) == 1


def test_what_was_approved_before_people_were_told_apart_counts_for_that_very_commit() -> None:
    same = proposal(of(BOB), same=(OLDER,))
    for judged in (True, False):
        older, shown = (approval(commit=one, judged=judged) for one in (OLDER, HEAD))
        assert bool(counting([older], (), same, KNOWN)) is judged
        assert counting([shown], (), same, KNOWN) == [shown]


@each_row(
    ("message", "emails"),
    [
        ("feat: a", ()),
        (
            "feat: a\n\nCo-authored-by: Grace <Grace@example.com>\r\nco-authored-by: <b@c.d>\n",
            ("grace@example.com", "b@c.d"),
        ),
        ("Co-authored-by: Grace\nnot Co-authored-by: x <x@y.z>", ()),
        ("Co-authored-by: " + "<" * 100_000, ()),
    ],
)
def test_a_commit_names_its_co_authors(message: str, emails: tuple[str, ...]) -> None:
    assert co_authors(message) == emails


# ── whatever the doors and addresses ─────────────────────────────────────────

PEOPLE = range(4)


@dataclass(frozen=True)
class Act:
    """What one person does, with one of their accounts or addresses."""

    who: int
    how: int


ACTS = st.builds(Act, st.sampled_from(PEOPLE), st.integers(0, 5))


def account(who: int) -> str:
    return f"github:p{who}"


def marks(who: int) -> list[str]:
    """All by which somebody is known; an alias is linked to no account."""
    own = [account(who), f"github:#{who + 1}", f"slack:U{who}", f"cli:p{who}", f"oidc:{who}"]
    return [*own, f"p{who}@example.org", f"alias{who}@home.example"]


def written(act: Act) -> Writer:
    """A commit as the host tells of it: linked by its address, or by nothing."""
    number, login, email = str(act.who + 1), f"p{act.who}", f"p{act.who}@example.org"
    if act.how == 0:
        return Writer(email=f"alias{act.who}@home.example", commit=HEAD)
    return Writer(login, number, email if act.how < 4 else f"x{act.who}@y.example", HEAD)


def given_by(act: Act) -> Approval:
    """An approval by one of somebody's doors, some of which verify an address."""
    doors = [account(act.who), f"slack:U{act.who}", f"cli:p{act.who}", f"oidc:{act.who}"]
    door = doors[act.how % 4]
    email = f"p{act.who}@example.org" if act.how > 2 and not door.startswith("cli:") else ""
    number = (f"github:#{act.who + 1}",) if door.startswith("github:") else ()
    return approval(person=door, name=str(act.who), email=email, accounts=number, at=float(act.how))


@given(
    wrote=st.lists(ACTS, min_size=1, max_size=4),
    approved=st.lists(ACTS, max_size=8),
    asked=st.none() | ACTS,
    joined=st.dictionaries(st.sampled_from(PEOPLE), st.sets(st.integers(0, 6)), max_size=4),
)
def test_n_approvals_are_n_people_none_of_whom_wrote_pushed_or_asked(
    wrote: list[Act], approved: list[Act], asked: Act | None, joined: dict[int, set[int]]
) -> None:
    """Entries of `identities` may lack marks, but never join two people, nor lack a login."""
    whole = {who: some | {0} if 1 in some else some for who, some in joined.items()}
    identities = Identities(
        {str(who): frozenset(marks(who)[at] for at in some) for who, some in whole.items()}
    )
    asker = (given_by(asked).person,) if asked else ()
    who = of(*map(written, wrote), identities=identities)

    counted = counting(map(given_by, approved), asker, proposal(who), identities)

    people = [int(one.name) for one in counted]
    assert len(set(people)) == len(people)
    assert not set(people) & {one.who for one in (*wrote, *([asked] if asked else []))}
