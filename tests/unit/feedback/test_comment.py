"""The comment of a pull request: what it says, and that others' words stay words."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bridge.chats import CHATS as ALL_CHATS
from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.gates.locks import Lock
from bridge.core.health.fate import Fate, Now
from bridge.core.holds import Gate, Hold, Proposal
from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import Why
from bridge.core.pulls import PullRequest
from bridge.githosts.feedback.comment import is_marked, marker, render_comment
from bridge.githosts.feedback.markdown import cell, link
from bridge.ports.feedback import Snapshot
from bridge.ports.outcomes import Explained
from bridge.views.links import ConsolePages
from tests.fakes.journey import app, deployment
from tests.worlds.previewed import MONO
from tests.worlds.rows import each_row

CHATS = {key: one.link_word for key, one in ALL_CHATS.items()}
FIXTURES = Path(__file__).parents[2] / "fixtures" / "feedback"
AT = 1_700_000_000.0
NOTE = "fatal: Remote branch gone not found in upstream origin"
LIVE = "5d6e7f8" + "0" * 33
PLACES = "shop/jobs has 5 previews already, the limit of its rule"


def explained(
    app_id: str = "app-web", reason: Reason = Reason.PATH_HIT, **others: Any
) -> Explained:
    evidence = others.pop("evidence", "web/index.html matches web/**")
    label = others.pop("label", f"shop/{app_id.removeprefix('app-')}")
    decision = Decision(app_id, label, reason, evidence)
    seen = Explained(1, AT, decision, "delivery-1", "refs/heads/main", "b" * 40)
    return replace(seen, **others)


def skip(app_id: str, **others: Any) -> Explained:
    evidence = others.pop("evidence", "3 files changed, none matches apps/api/**")
    return explained(app_id, others.pop("reason", Reason.NO_PATH_HIT), evidence=evidence, **others)


def done(seq: int = 1, **others: Any) -> Deployment:
    ended: dict[str, Any] = {
        "started_at": AT + 2,
        "finished_at": AT + 44.4,
        "deployed_commit": "b" * 40,
    }
    return deployment(seq, state=State.DONE, commit="b" * 40, **ended | others)


def snapshot(*those: Explained | Deployment, **others: Any) -> Snapshot:
    """Both lists newest first, as the journal gives them."""
    newest = sorted(those, key=lambda one: -one.seq)
    return Snapshot(
        explained=tuple(one for one in newest if isinstance(one, Explained)),
        deployments=tuple(one for one in newest if isinstance(one, Deployment)),
        apps=others.pop("apps", {}),
        **others,
    )


def rows(text: str) -> list[list[str]]:
    """The cells of the table's rows."""
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    return [[one.strip() for one in line.strip("| ").split(" | ")] for line in lines]


# ── what it says ─────────────────────────────────────────────────────────────


def everything() -> Snapshot:
    """One app in each state, one that an older push deployed, and three that were skipped."""
    states = [one for one in State if one is not State.DONE]
    others = [
        deployment(
            2, f"app-{state}", state=state, started_at=AT + 5, finished_at=AT + 65, note=NOTE
        )
        for state in states
    ]
    apps = [
        app("app-web", page="https://dokploy.example.com/dashboard/project/p1"),
        app("app-failed", environment="staging"),
    ]
    return snapshot(
        *(explained(f"app-{state}", seq=2) for state in states),
        explained(seq=2),
        done(2, deployed_commit=LIVE),
        *others,
        explained("app-old"),
        replace(done(app_id="app-old"), deployed_commit=None),
        skip("app-old", seq=2),
        skip("app-api", seq=2),
        skip(
            "app-ios",
            seq=2,
            reason=Reason.BRANCH_MISMATCH,
            evidence="main was pushed, it deploys ios",
        ),
        apps={one.id: one for one in apps},
        beside={f"slack.card {others[0].id}": {"link": "https://team.slack.com/archives/C1/p1"}},
    )


def three_apps() -> Snapshot:
    """A push that three apps wait for, and two do not; see docs/pictures/comment.py."""
    page = "https://dokploy.example.com/dashboard/project/p1/environment/e1/services/application/"
    sha = "4f1c2d9" + "e" * 33
    web = replace(done(3, finished_at=AT + 51), commit=sha, deployed_commit=sha)
    api = deployment(3, "app-api", state=State.RUNNING, started_at=AT + 20)
    jobs = deployment(
        3,
        "app-jobs",
        state=State.FAILED,
        started_at=AT + 9,
        finished_at=AT + 80,
        asked_at=AT,
        log_tail="\n".join(
            [
                "#9 [build 4/5] RUN npm run build",
                *(f"#9 {n}.0 > tsc" for n in range(30)),
                "#9 31.2 src/mail.ts(7,3): error TS2304: Cannot find name 'smtp'.",
                "#9 31.2 DATABASE_PASSWORD=hunter2",
                "#9 ERROR: exit code: 2",
            ]
        ),
        note="src/mail.ts(7,3): error TS2304: Cannot find name 'smtp'."
        ' (process "/bin/sh -c npm run build" did not complete successfully: exit code: 2)',
    )
    slack = {"link": "https://team.slack.com/archives/C1/p1700000000"}
    return snapshot(
        *(explained(f"app-{name}", seq=3, commit=sha) for name in ("web", "api", "jobs")),
        skip("app-docs", seq=3, commit=sha, evidence="4 files changed, none matches docs/**"),
        skip("app-ios", seq=3, commit=sha, reason=Reason.BRANCH_MISMATCH,
             evidence="branch main was pushed, it deploys release/ios"),
        web, api, jobs,
        apps={
            one.app_id: app(one.app_id, page=page + one.app_id, url=f"https://{host}.example.com")
            for one, host in ((web, "shop"), (api, "api.shop"), (jobs, "jobs.shop"))
        },
        beside={f"slack.card {one.id} C1": slack for one in (web, api, jobs)},
    )  # fmt: skip


def held_apps() -> Snapshot:
    """A push that gates hold for two apps, while a third builds."""
    sha = "4f1c2d9" + "e" * 33
    lock = Hold(
        Gate.LOCK,
        "lock:project/shop:1",
        "project shop is locked by Grace Hopper: moving the orders to the new database",
        Right.OVERRIDE,
        until=AT + 7200,
    )
    approval = Hold(
        Gate.APPROVAL,
        f"approval:{sha}",
        "needs 1 approval of 4f1c2d9, has 0",
        Right.APPROVE,
        proposal=Proposal(
            sha, "feat: the cart `shows` |dates|", "Ada <b>", LIVE, 2, ("web/a", "web/`b`")
        ),
    )
    return snapshot(
        *(explained(f"app-{name}", seq=3, commit=sha) for name in ("web", "api", "jobs")),
        deployment(3, state=State.HELD, holds=(lock, approval), held_at=AT + 20),
        deployment(3, "app-api", state=State.HELD, holds=(lock,), held_at=AT + 20),
        deployment(3, "app-jobs", state=State.RUNNING, started_at=AT + 20),
    )


def previews() -> Snapshot:
    """A pull request of a monorepo: one preview is up, one builds, and one waits for a place."""
    pull = PullRequest(12, "feature/sundays", LIVE, open=True, base="main", title="Open on Sundays")
    built = {"commit": LIVE, "started_at": AT + 4}
    web = deployment(
        3, "pr-12-web", state=State.DONE, deployed_commit=LIVE, finished_at=AT + 31, **built
    )
    api = deployment(3, "pr-12-api", state=State.RUNNING, **built)

    def one(name: str, state: PreviewState, **facts: Any) -> Preview:
        of = Preview("r:1", MONO, f"app-{name}", f"shop/{name}", "dokploy", pull, active_at=AT)
        asked = LIVE if state is PreviewState.UP else None
        return replace(of, state=state, asked=asked, **facts)

    address = "https://pr-12-{}.preview.example.com"
    ours = {each.app_id: app(each.app_id, marker=f"bridge:{each.app_id}") for each in (web, api)}
    return snapshot(
        web,
        api,
        apps=ours,
        previews=(
            one("web", PreviewState.UP, made="pr-12-web", url=address.format("web")),
            one("api", PreviewState.UP, made="pr-12-api", url=address.format("api")),
            one("jobs", PreviewState.HELD, reason=Why.LIMIT, note=PLACES),
        ),
    )


def waiting() -> Snapshot:
    """A push whose apps wait for their turn."""
    apps = ("app-web", "app-api")
    pushed = [explained(id_, seq=3) for id_ in apps]
    return snapshot(*pushed, *(deployment(3, id_) for id_ in apps))


def every_gate() -> Snapshot:
    """A push that each gate holds for one app."""
    says = {
        Gate.SCHEDULE: ("not before 2023-11-15 06:00 UTC, as Ada asked", Right.DEPLOY, AT + 27_000),
        Gate.LOCK: ("shop/lock is locked by Grace: until the sale is over", Right.OVERRIDE, None),
        Gate.FREEZE: ("frozen by weekend", Right.OVERRIDE, AT + 90_000),
        Gate.CHECKS: ("1 of 3 checks has not passed: build", Right.OVERRIDE, None),
        Gate.APPROVAL: ("needs 1 approval of bbbbbbb, has 0", Right.APPROVE, None),
        Gate.ORDER: ("shop/staging has not deployed bbbbbbb yet", Right.OVERRIDE, None),
    }
    held: list[Explained | Deployment] = []
    for gate, (words, right, until) in says.items():
        hold = Hold(gate, f"{gate}:1", words, right, until)
        if gate is Gate.APPROVAL:
            hold = replace(hold, proposal=Proposal("b" * 40, "fix: cart", "Ada"))
        facts = {"state": State.HELD, "holds": (hold,), "held_at": AT + 1}
        held += [explained(f"app-{gate}"), deployment(1, f"app-{gate}", **facts)]
    return snapshot(*held)


def rolled_back() -> Snapshot:
    """A push that was live and did not work, so that the bridge went back."""
    bad = deployment(
        3,
        state=State.UNHEALTHY,
        commit="b" * 40,
        deployed_commit="b" * 40,
        asked_at=AT,
        started_at=AT + 2,
        finished_at=AT + 60,
        note="GET https://shop.example.com/: 502",
        log_tail="GET https://shop.example.com/: 502\nBad Gateway\npg: connection refused",
    )
    back = replace(done(4), deployed_commit=LIVE, action=Action.ROLLBACK)
    fate = Fate(Now.ROLLED_BACK, AT + 70, back, stands=True)
    lock = Lock("app/app-web", "shop/web", "bridge", "the bridge", "commit bbbbbbb failed", AT + 70)
    return snapshot(
        explained(seq=3),
        bad,
        apps={"app-web": app("app-web", url="https://shop.example.com")},
        fates={bad.id: fate},
        locks={"app-web": lock},
    )


def fork() -> Snapshot:
    """A pull request from a fork, whose commit nobody has approved."""
    told = previews()
    waits = "fork: waiting for approval of 5d6e7f800000"
    held = replace(
        told.previews[0], state=PreviewState.HELD, made=None, url=None, reason=Why.APPROVAL,
        note=waits, pull=replace(told.previews[0].pull, own=False),
    )  # fmt: skip
    return snapshot(previews=(held,))


def merged() -> Snapshot:
    """A merged pull request: what it brought is live, and its preview is gone."""
    ended = replace(previews().previews[0], state=PreviewState.ENDED, made=None)
    live = replace(done(3), live_at=AT + 44)
    api = replace(done(3), id="3.app-api", app_id="app-api", app="shop/api", live_at=AT + 60)
    return snapshot(
        explained(seq=3),
        explained("app-api", seq=3),
        live,
        api,
        apps={"app-web": app("app-web", url="https://shop.example.com")},
        fates={live.id: Fate(Now.LIVE), api.id: Fate(Now.LIVE)},
        previews=(ended,),
    )


CONSOLE = ConsolePages("https://bridge.example.com")

TOLD = {
    "waiting": waiting,
    "every_gate": every_gate,
    "rolled_back": rolled_back,
    "fork": fork,
    "merged": merged,
    "every_state": everything,
    "three_apps": three_apps,
    "held_apps": held_apps,
    "previews": previews,
}


def compares(_app: App | None, old: str | None, new: str | None) -> str:
    return f"https://example.com/my-org/mono/compare/{old}...{new}"


@each_row("name", TOLD)
def test_the_comment_looks_as_in_its_picture(name: str) -> None:
    told = TOLD[name]()

    merge = {3} if name == "merged" else set()
    text = render_comment(told, "0123456789abcdef", CHATS, CONSOLE, compares, merged=merge)

    assert text == (FIXTURES / f"comment__{name}.md").read_text()


@each_row(
    ("served", "says"), [(State.DONE, "failed, ddddddd is still up"), (State.UNHEALTHY, "failed |")]
)
def test_a_preview_whose_later_build_failed_says_what_is_still_up(served: State, says: str) -> None:
    told = previews()
    first, *others = told.deployments
    failed = replace(first, state=State.FAILED, deployed_commit=None, note="no space left")
    older = deployment(2, first.app_id, deployed_commit="d" * 40, state=served)
    still = {first.app_id: older}

    text = render_comment(replace(told, deployments=(failed, *others), served=still), "i")

    assert says in text


def test_a_held_and_a_failed_app_say_why_below_the_table_without_secrets() -> None:
    lock = Hold(Gate.LOCK, "lock:1", "locked by `Ada`|<b>: token=hunter2", Right.OVERRIDE, AT + 60)
    checks = Hold(Gate.CHECKS, "checks:1", "2 checks have not passed", Right.OVERRIDE)
    held = deployment(state=State.HELD, holds=(lock,))

    alone = render_comment(snapshot(explained(), held), "i")
    both = render_comment(snapshot(explained(), replace(held, holds=(lock, checks))), "i")
    many = render_comment(snapshot(explained(), replace(held, holds=(lock,) * 9)), "i")

    assert "| ✋ held |" in alone
    said = "\n- `shop/web` is held: `` locked by `Ada`|<b>: token=*** ``"
    said += " (until 2023-11-14 22:14 UTC, lifted by `override`)"
    assert f"{said}\n" in alone
    assert f"{said}; `2 checks have not passed` (lifted by `override`)\n" in both  # without an end
    assert "; and 4 more\n" in many
    failed = deployment(
        state=State.FAILED,
        note="npm ERR! token=hunter2",
        log_tail="#9 one\ntoken=hunter2\n</details>",
    )

    text = render_comment(snapshot(explained(), failed), "i")

    assert "\n- `shop/web` failed: `npm ERR! token=***`\n" in text
    assert "\n      #9 one\n      token=***\n      </details>\n" in text
    assert " failed: `" not in render_comment(snapshot(explained(), replace(failed, note="")), "i")


def test_an_image_is_named_where_no_commit_is() -> None:
    image = replace(done(deployed_commit=None, image="ghcr.io/acme/web:2"), commit=None)

    (found,) = rows(render_comment(snapshot(explained(), image), "i"))

    assert "`ghcr.io/acme/web:2`" in found


def test_an_unhealthy_app_shows_what_it_answered_below_the_table() -> None:
    seen = "GET https://web.test/: 502\n<b>no database</b>\n```\ntoken=hunter2\n" + "more\n" * 9
    bad = deployment(state=State.UNHEALTHY, note="GET https://web.test/: 502", log_tail=seen)

    text = render_comment(snapshot(explained(), bad), "i")

    shown = ["<b>no database</b>", "```", "token=***", "more", "more"]
    block = "".join(f"\n      {line}" for line in shown)
    assert f"- `shop/web` is unhealthy: `GET https://web.test/: 502`\n{block}\n" in text
    assert "hunter2" not in text
    assert "<b>" not in MarkdownIt("commonmark").enable("table").render(text)


def test_each_chat_is_linked_once_also_when_another_deployment_took_its_place() -> None:
    running = deployment(2, state=State.RUNNING)
    old = deployment(state=State.SUPERSEDED, superseded_by=running.id)
    beside = {
        f"discord.card {running.id} default": {"link": "https://discord.com/channels/1/2/3"},
        f"discord.card {running.id} ops": {"link": "https://discord.com/channels/1/4/5"},
        f"slack.card {running.id} C1": {"link": "https://team.slack.com/x"},
        f"slack.card {running.id}-too C1": {"link": "https://team.slack.com/of-another-app"},
        f"other.card {running.id}": {"link": "https://example.com/no-chat"},
    }

    building = render_comment(snapshot(explained(), running, beside=beside), "i", CHATS)
    superseded = render_comment(snapshot(explained(), old, beside=beside), "i", CHATS)

    links = "[thread](https://team.slack.com/x) · [Discord](https://discord.com/channels/1/2/3)"
    for text in (building, superseded):
        assert text.count(f"\n{links}\n") == text.count("[thread]") == text.count("[Discord]") == 1


def test_what_has_no_room_is_left_out_whole_and_counted() -> None:
    many = [deployment(1, f"app-{n:04}", state=State.RUNNING) for n in range(1500)]
    skipped = [skip(f"app-s{n:04}", evidence="x" * 300) for n in range(300)]

    text = render_comment(snapshot(*many, *skipped), "i")

    shown = len(rows(text))
    assert 700 < shown < 1500
    assert f"… {1500 - shown} more apps" in text
    assert len(text.encode()) <= 65_536
    assert text.endswith("</sub>")
    # with few rows, the skipped ones are cut
    text = render_comment(snapshot(*many[:10], *skipped), "i")
    assert len(rows(text)) == 10
    assert re.search(r"^- … [0-9]+ more\.$\n\n</details>", text, re.MULTILINE)
    assert len(text.encode()) <= 65_536


def test_our_comment_is_known_again_whatever_a_host_does_to_its_lines() -> None:
    text = render_comment(snapshot(explained(), done()), "0123")

    assert is_marked(text, "0123")
    assert is_marked(text.replace("\n", "\r\n"), "0123")
    assert not is_marked(text, "4567")
    assert not is_marked(f"> {text}", "0123")
    assert not is_marked(f"look: {marker('0123')}", "0123")


# ── others' words stay words ─────────────────────────────────────────────────

NASTY = [
    "@ada", "@org/team", "@all", "#1", "!2", "~bug", "&3", "%v1", "$4", "[[wiki]]", ":tada:",
    "<b>", "</details>", "<!--", "-->", "<img src=x onerror=y>", "https://evil.example", "www.e.co",
    "a@e.co", "![x](https://e.co/x.png)", "[x](https://e.co)", "[^1]", "[x]: https://e.co",
    "/merge", "\n/close", "\r/approve", "\u2028/label ~x", "|", "\\|", "\\", "`", "``", "```",
    "~~~", "*", "_", "~~", "\u202e", "\u200b", "\x00", "\x1b[31m", "\ud800", "&lt;", "&#64;ada",
    "$`x`$", "GH-1", "o/r#1", "0123456789abcdef0123456789abcdef01234567", "\n\n# big", "\n- [ ] x",
    "- ",
]  # fmt: skip
hostile = st.lists(st.sampled_from(NASTY) | st.text(max_size=5), max_size=6).map("".join)

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def skeleton(text: str) -> list[tuple[str, str]]:
    """Everything that a reader of Markdown makes of it, except for what stands in code."""
    found = []
    for token in MARKDOWN.parse(text):
        for one in token.children if token.children is not None else [token]:
            if one.type in ("code_inline", "code_block"):
                found.append((one.type, ""))
            else:
                found.append((one.type, one.content + "".join(str(v) for v in one.attrs.values())))
    return found


def hostile_story(words: str) -> Snapshot:
    return snapshot(
        explained(label=words, evidence=words, ref=f"refs/heads/{words}"),
        done(1, app=words, message=words, author=words, note=words, ref=words),
        skip("app-api", label=words, evidence=words),
        deployment(1, "app-ci", app=words, state=State.FAILED, note=words, log_tail=words),
        apps={"app-web": app(environment=words, page="https://dokploy.example.com/")},
        beside={f"slack.card {done().id}": {"link": "https://team.slack.com/x"}},
    )


@settings(max_examples=60)
@given(hostile)
def test_whatever_the_words_are_the_markdown_around_them_stays_the_same(words: str) -> None:
    text = render_comment(hostile_story(f"x{words}"), "i")
    calm = render_comment(hostile_story("calm"), "i")

    assert skeleton(text) == skeleton(calm)
    assert {line[:3] for line in text.split("\n")} <= {line[:3] for line in calm.split("\n")}
    assert all(char == "\n" or char.isprintable() for char in text)


@given(hostile)
def test_a_cell_holds_no_pipe(words: str) -> None:
    assert "|" not in cell(words)


@each_row(
    "url",
    ["javascript:alert(1)", "https://a.co/x y", "https://a.co/)![", "https://a@b.co", "//a.co", "",
     "https://a.co/\n", "https://a.co/`", "https://a.co/<b>", "https://a.co/[x]", None],
)  # fmt: skip
def test_what_is_no_plain_address_is_no_link(url: str | None) -> None:
    assert link("log", url) == "log"
