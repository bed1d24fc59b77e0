"""Secrets are hidden by their values and by their shapes, and ordinary words stay."""

import json
import re
import time
from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st

from bridge.backends.dokploy.models import Variables
from bridge.core.masking import Mask, always_hidden, mask_of, redact
from tests.worlds.rows import each_row
from tests.worlds.secrets import FORMS, FURTHER, KINDS, further, printed, traces

_SIGNS = st.text("ABCDEFGHIJKLMNPQRSTUVWXYZabcdefghijklmnpqrstuvwxyz", min_size=10, max_size=10)
SECRETS = st.tuples(_SIGNS, st.integers(100, 999), _SIGNS).map(lambda one: "{}{}{}".format(*one))
VALUES = st.tuples(SECRETS, st.sampled_from("@/ +&'\"\\<é%$"), SECRETS).map("".join)


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


@given(VALUES, st.sampled_from(sorted(FORMS)))
def test_the_value_of_a_variable_is_hidden_in_any_form(value: str, form: str) -> None:
    mask = Mask([("GREETING", value)])

    shown = redact(f"step 3: {FORMS[form](value)} is refused", mask)

    assert not [trace for trace in traces(value) if trace in shown]
    assert shown.startswith("step 3: ")
    assert shown.endswith(" is refused")


def test_what_a_backend_keeps_is_read_as_variables() -> None:
    text = (
        "# a comment\nA='with blanks 4x!'\nB=half#whole-9x\n"
        'KEY="-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg\\n-----END PRIVATE KEY-----\\n"\n'
        "URL=postgres://shop:p%40ssw0rd-x@db/shop\n"
    )
    mask = mask_of([text, None, ""], ["r3gistry-pass", None])

    for secret in ("with blanks 4x!", "half#whole-9x", "MIIEvQIBADANBg", "p%40ssw0rd-x",
                   "p@ssw0rd-x", "r3gistry-pass"):  # fmt: skip
        assert redact(f"saw {secret}.", mask) == "saw ***."
    assert "ssw0rd" not in repr(mask)


PLAIN = {
    "NODE_ENV": "production", "DEBUG": "true", "PORT": "3000", "HOST": "localhost", "V": "18.20.1",
    "DOMAIN": "shop.example.com", "URL": "https://shop.example.com/eu1/cart", "DIR": "/app/data",
    "DB": "postgres", "TASK": "deploy", "A": "abc", "REDIS": "redis://cache:6379/0",
    "POSTGRES_PASSWORD": "postgres", "SECRET": "", "TOKEN": "x1", "PASSWORD": "123",
    "BUILD_COMMAND": "npm ci && npm run build", "NPM_FLAGS": "--legacy-peer-deps",
    "PYTHON_IMAGE": "3.12-slim", "NODE_IMAGE": "node:20-alpine3.19", "SERVICE_NAME": "checkout",
    "TURBO_FILTER": "@acme/web", "NEXT_OUTPUT": "standalone", "TZ": "Europe/Berlin",
    "SHELL": "/bin/sh -c", "NODE_OPTIONS": "--max-old-space-size=4096", "TARGET": "ES2022",
    "JAVA_OPTS": "-Xmx512m -Xms256m", "MODEL": "gpt-4o-mini", "PLATFORM": "linux/amd64",
    "MESSAGE": "Cannot find module", "ADMIN_EMAIL": "ada@shop.example.com",
    "NEXT_PUBLIC_SITE_NAME": "StoreFront", "VITE_TITLE": "Ada & Bob's shop (new!)",
    "API_URL": "https://api.example.com/v1?lang=de&page=2", "MAX_TOKENS": "128000",
    "TOKEN_HEADER": "X-Shop-Auth", "PASSWORD_HASHER": "bcrypt", "GLOBS": "src/**/*.ts;lib/*.js",
    "MAIN_CLASS": "com.acme.ShopApplication", "PROJECT": "src/ShopApi/ShopApi.csproj",
    "GRADLE_TASK": "bootJar", "FLASK_APP": "shop.wsgi:createApp", "MAVEN_OPTS": "-DskipTests",
    "DB_HOST": "shop-db2.internal.local", "NPM_TOKEN": "${CI_TOKEN}",
    "API_SECRET": "${{project.API_SECRET}}",
}  # fmt: skip


def test_ordinary_words_stay() -> None:
    text = " ".join(PLAIN.values())

    assert redact(text, Mask(PLAIN.items())) == text


@each_row(
    ("name", "value", "text", "shown"),
    [
        ("DB_PASSWORD", "sunshine", "sunshine or sunshines", "*** or sunshines"),
        ("PIN", "473829", "473829 of 14738290", "473829 of 14738290"),
        ("SECRET_PIN", "473829", "473829 of 14738290", "*** of 14738290"),
        ("NAME", "Blue-Whale-17k9x", "xBlue-Whale-17k9xx", "x***x"),
    ],
)
def test_a_short_value_is_hidden_only_as_a_whole_word(
    name: str, value: str, text: str, shown: str
) -> None:
    assert redact(text, Mask([(name, value)])) == shown


@each_row(
    ("variable", "text", "shown"),
    [
        ('A={"user":"ada","password":"Hunter2Pass"}', "no Hunter2Pass, ada", "no ***, ada"),
        ("A=Server=db;User Id=sa;Password=Hunter2;", "no Hunter2 for sa", "no *** for sa"),
        ("A=postgres://db/shop?user=ada&password=sun%20shine", "no sun shine", "no ***"),
        ("A=https://Hunter2Passtoken@host/x.git", "as Hunter2Passtoken", "as ***"),
        ("A=redis://:sunshine@a,redis://:moonshine@b", "sunshine moonshine", "*** ***"),
        ("A=postgres://ada:p/ssw0rd@1@db/shop", "no p/ssw0rd@1", "no ***"),
        ("A=ab12cd34ef\\ngh56ij78kl", "ab12cd34ef\n#2 gh56ij78kl", "***\n#2 ***"),
        ("A_SECRET_URL=https://x.de/hooks/AbCd12345", "POST /hooks/AbCd12345", "POST ***"),
        ("MNEMONIC=army van defense", "army van defense", "***"),
        ("LICENCE=A3F9-K2L8-9XQ1", "of A3F9-K2L8-9XQ1", "of ***"),
        ('SECRET_PIN="a1\\nb2x"', "no a1\nb2x, a1", "no ***\n***, a1"),
        ("A=k3J9/xQ2m/wE5r", '"k3J9\\\\/xQ2m\\u002FwE5r"', '"***"'),
        ("A=k3J9 xQ2m+wE5r", "?q=k3J9+xQ2m%2BwE5r&b", "?q=***&b"),
        ("DB_PASSWORD=sunshine", "a\\nsunshine\\t%2Fsunshine", "a\\n***\\t%2F***"),
        ("SUPERUSER=ada:hunter22", "no ada:hunter22", "no ***"),
        ("A_HOOK_URL=https://x.de/s-c1x9?k=Xv3kPq9&a=b", "POST /s-c1x9?k=Xv3kPq9&a=b", "POST ***"),
        ("A_HOOK_URL=https://x.de/s-c1x9?k=Xv3kPq9&a=b", "k is Xv3kPq9", "k is ***"),
        ("API_KEYS=sunshine,moonlight", "no moonlight", "no ***"),
        ("DB=ada:sunshine@tcp(db:3306)/shop", "no sunshine for ada", "no *** for ada"),
        ("A=s3cr3tvalue", "s3cr3t\x1b7va\x1b[31mlue", "***"),
        ("A=Größe-k3J9x", "'Gr\\xf6\\xdfe-k3J9x', %C3%9F", "'***', %C3%9F"),
        ('A=k3J9\\"xQ2m', json.dumps(json.dumps({"a": 'k3J9\\"xQ2m'})), '"{\\"a\\": \\"***\\"}"'),
    ],
)
def test_pieces_of_a_value_and_tokens_under_any_name_are_hidden(
    variable: str, text: str, shown: str
) -> None:
    assert redact(text, mask_of([variable])) == shown


@each_row(
    ("env", "shared", "secret"),
    [
        ("DB_PASSWORD=${{project.SHARED_DB}}", "SHARED_DB=sunshine-horse", "sunshine-horse"),
        ("A_SECRET=sun-${{project.N}}-shine", "N=blue", "sun-blue-shine"),
    ],
)
def test_what_a_variable_refers_to_is_hidden_as_its_own(env: str, shared: str, secret: str) -> None:
    of_the_app = {"env": env, "environment": {"project": {"env": shared}}}
    mask = Variables.model_validate(of_the_app).mask()

    assert redact(f"no login with {secret}", mask) == "no login with ***"


@each_row(
    ("value", "before", "between"),
    [
        ("Zx9q7Kp" * 30, "", "\n"),
        ("Zx9q7Kp" * 30, "ada:", "\r\n"),
        ("Zx9q7Kp" * 3, "GREETING=hello and\nA=" * 2, "\n#9 0.31 "),
        ("Zx9q7Kp+" * 3, "hello, hello, hello, hello, hello, ", "\nweb-1  | "),
    ],
)
def test_a_value_in_lines_of_base64_is_hidden(value: str, before: str, between: str) -> None:
    for columns in (76, 64):
        whole = b64encode(f"{before}{value}\n".encode()).decode()
        lines = [whole[at : at + columns] for at in range(0, len(whole), columns)]

        shown = redact(between.join(lines), Mask([("A", value)]))

        kept = "".join(re.findall("[A-Za-z0-9+/=]+", shown.replace(between.strip("\r\n"), "")))
        assert len(kept) - len(b64encode(before.encode()).decode()) < 10
        assert shown.count("\n") == len(lines) - 1


def test_the_longest_value_goes_first_and_a_process_always_hides_its_own() -> None:
    own = Mask(secrets=["abcdef-123", "abcdef-123456"])

    with always_hidden(own), always_hidden(own):
        assert redact("abcdef-123456 abcdef-123") == "*** ***"
    assert redact("abcdef-123") == "abcdef-123"


VALUE_LINES = st.text("a1\r\n", min_size=4, max_size=9)


@given(st.lists(VALUE_LINES), st.lists(VALUE_LINES))
def test_a_text_keeps_its_lines(values: list[str], pieces: list[str]) -> None:
    text = "".join([*pieces, *values])

    shown = redact(text, Mask(secrets=values))

    assert shown.count("\n") == text.count("\n")


def test_a_variable_of_many_secrets_takes_no_time() -> None:
    """Such as the certificates of all authorities."""
    began = time.process_time()
    for form in ("{}", '"{}", '):
        pieces = "".join(form.format(f"{n:x}-{n * 7919:x}") for n in range(99_999, 109_000))
        mask = Mask([("V", pieces), ("A", f'[{pieces}"x"]')])
        redact("#12 1.234 added 812 packages, and audited 813 packages in 4s\n" * 2000, mask)
    assert time.process_time() - began < 4


@each_row("piece", ["value-1", "=", "\x1b]", "%41", "a:", "{", "\\", "''", "\\xc3", "\\303"])
def test_a_log_that_is_made_to_hold_it_up_does_not(piece: str) -> None:
    mask = Mask((f"V{n}", f"value-{n}-{n * 7919:x}-{piece}") for n in range(100))
    text = piece * (100_000 // len(piece))
    began = time.process_time()
    redact(text, mask)
    Mask([("V", text)])
    assert time.process_time() - began < 1
