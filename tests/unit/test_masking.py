"""Secrets are hidden by their values and by their shapes, and ordinary words stay."""

import time

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.masking import Mask, always_hidden, mask_of, redact
from tests.worlds.rows import each_row
from tests.worlds.secrets import FORMS, FURTHER, KINDS, further, printed, traces

_SIGNS = st.text("ABCDEFGHIJKLMNPQRSTUVWXYZabcdefghijklmnpqrstuvwxyz", min_size=10, max_size=10)
SECRETS = st.tuples(_SIGNS, st.integers(100, 999), _SIGNS).map(lambda one: "{}{}{}".format(*one))
VALUES = st.tuples(SECRETS, st.sampled_from("@/ +&'\"\\<é%$"), SECRETS).map("".join)


def test_all_kinds_are_tried() -> None:
    assert len(KINDS) == 44


@given(SECRETS, st.sampled_from(sorted(KINDS)))
def test_a_secret_of_any_kind_is_hidden(secret: str, kind: str) -> None:
    shown = redact(f"error: before\n{printed(kind, secret)}\nerror: after")

    assert "***" in shown
    assert secret[:16] not in shown
    assert secret[:16].upper() not in shown
    assert shown.startswith("error: before\n")
    assert shown.endswith("\nerror: after")


@each_row("form", FURTHER)
def test_a_token_that_others_know_is_hidden(form: str) -> None:
    token, secret = further(form)

    shown = redact(f"it says {token} there")

    assert secret not in shown
    assert shown.startswith("it says ")
    assert shown.endswith(" there")


@each_row(
    "text",
    [
        "sk-fading-circle-of-the-loader", "sha256:" + "4b1d" * 16, "commit 4b1d" + "0" * 36,
        "path/to/patterns.json", "task-us-west-2-worker", "API-REFERENCE.md", "npm_config_cache",
        "the token is missing", "--password-file /run/secret", "key: value", "cache_key=web-12",
        "sha512-" + "Ab1/" * 20 + "==", "https://shop.example.com:8080/a@b", "it is v1.0-beta",
        "bearer of news", "basic authentication failed", "secret is required", "git@host:o/r.git",
        "ada lets it pass: the fix of the outage", "write KEY=value", "Tokenizing: src/main.c",
        "accept that, `ci_secrets_for_forks: true`", "token: string | undefined",
    ],
)  # fmt: skip
def test_what_only_looks_alike_stays(text: str) -> None:
    assert redact(text) == text


@given(VALUES, st.sampled_from(sorted(FORMS)))
def test_the_value_of_a_variable_is_hidden_in_any_form(value: str, form: str) -> None:
    mask = Mask([("GREETING", value)])

    shown = redact(f"step 3: {FORMS[form](value)} is refused", mask)

    assert not [trace for trace in traces(value) if trace in shown]
    assert shown.startswith("step 3: ")
    assert shown.endswith(" is refused")


def test_what_a_backend_keeps_is_read_as_variables() -> None:
    text = (
        "# a comment\nA='with blanks 4x'\nB=half#whole-9x\n"
        'KEY="-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg\\n-----END PRIVATE KEY-----\\n"\n'
        "URL=postgres://shop:p%40ssw0rd-x@db/shop\n"
    )
    mask = mask_of([text, None, ""], ["r3gistry-pass", None])

    for secret in ("with blanks 4x", "half#whole-9x", "MIIEvQIBADANBg", "p%40ssw0rd-x",
                   "p@ssw0rd-x", "r3gistry-pass"):  # fmt: skip
        assert redact(f"saw {secret}.", mask) == "saw ***."
    assert "ssw0rd" not in repr(mask)


PLAIN = {
    "NODE_ENV": "production", "DEBUG": "true", "PORT": "3000", "HOST": "localhost", "V": "18.20.1",
    "DOMAIN": "shop.example.com", "URL": "https://shop.example.com/eu1/cart", "DIR": "/app/data",
    "DB": "postgres", "TASK": "deploy", "A": "abc", "REDIS": "redis://cache:6379/0",
    "POSTGRES_PASSWORD": "postgres", "SECRET": "", "TOKEN": "x1", "PASSWORD": "123",
}  # fmt: skip


def test_ordinary_words_stay() -> None:
    text = " ".join(PLAIN.values())

    assert redact(text, Mask(PLAIN.items())) == text


@each_row(
    ("name", "value", "text", "shown"),
    [
        ("DB_PASSWORD", "sunshine", "sunshine or sunshines", "*** or sunshines"),
        ("DB_PASSWORD", "a1b2", "a1b2 in xa1b2x", "*** in xa1b2x"),
        ("PIN", "473829", "473829 of 14738290", "473829 of 14738290"),
        ("SECRET_PIN", "473829", "473829 of 14738290", "*** of 14738290"),
        ("NAME", "Blue-Whale-17", "xBlue-Whale-17x", "x***x"),
    ],
)
def test_a_short_value_is_hidden_only_as_a_whole_word(
    name: str, value: str, text: str, shown: str
) -> None:
    assert redact(text, Mask([(name, value)])) == shown


def test_the_longest_value_goes_first() -> None:
    mask = Mask(secrets=["abcdef-123", "abcdef-123456"])

    assert redact("abcdef-123456 abcdef-123", mask) == "*** ***"


def test_a_process_always_hides_its_own() -> None:
    own = Mask(secrets=["our-own-t0ken"])

    with always_hidden(own), always_hidden(own):
        assert redact("saw our-own-t0ken") == "saw ***"
    assert redact("saw our-own-t0ken") == "saw our-own-t0ken"


@each_row("piece", ["value-1", "a", "=", " ", "\x1b[", "\x1b]", "%41", "x" * 100 + "\n"])
def test_a_log_that_is_made_to_hold_it_up_does_not(piece: str) -> None:
    mask = Mask((f"V{n}", f"value-{n}-{n * 7919:x}-{piece}") for n in range(100))
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    redact(text, mask)
    assert time.process_time() - began < 2
