"""Secrets are hidden by their values and by their shapes, and ordinary words stay."""

import ast
import json
import re
import time
from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st

from bridge.backends.dokploy.models import Variables
from bridge.core.log_text import without_steering
from bridge.core.masking import Mask, always_hidden, mask_of, redact
from tests.worlds.rows import each_row
from tests.worlds.secrets import FORMS, FURTHER, KINDS, further, printed, traces
from tests.worlds.sources import modules, parsed

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

    before, _, after = redact(f"it says {token} there").partition("***")

    assert secret not in before + after
    assert (before[:8], after[-6:]) == ("it says ", " there")


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
    "JAVA_OPTS": "-Xmx512m -Xms256m", "MODEL": "gpt-4o-mini", "PLATFORM": "linux/amd64",
    "NEXT_PUBLIC_SITE_NAME": "StoreFront", "VITE_TITLE": "Ada & Bob's shop (new!)",
    "API_URL": "https://api.example.com/v1?lang=de&page=2", "MAX_TOKENS": "128000",
    "TOKEN_HEADER": "X-Shop-Auth", "PASSWORD_HASHER": "bcrypt", "GLOBS": "src/**/*.ts;lib/*.js",
    "MAIN_CLASS": "com.acme.ShopApplication", "PROJECT": "src/ShopApi/ShopApi.csproj",
    "DB_HOST": "shop-db2.internal.local", "NPM_TOKEN": "${CI_TOKEN}",
    "API_SECRET": "${{project.API_SECRET}}",
}  # fmt: skip


def test_ordinary_words_stay() -> None:
    text = " ".join(PLAIN.values())

    assert redact(text, Mask(PLAIN.items())) == text


@each_row(
    ("variable", "text", "shown"),
    [
        # a short value is hidden only as a whole word
        ("DB_PASSWORD=sunshine", "sunshine or sunshines", "*** or sunshines"),
        ("PIN=473829", "473829 of 14738290", "473829 of 14738290"),
        ("SECRET_PIN=473829", "473829 of 14738290", "*** of 14738290"),
        ("NAME=Blue-Whale-17k9x", "xBlue-Whale-17k9xx", "x***x"),
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
def test_pieces_of_a_value_and_tokens_under_any_name_are_hidden(variable, text, shown) -> None:
    assert redact(text, mask_of([variable])) == shown


def test_what_a_variable_refers_to_is_hidden_as_its_own() -> None:
    shared = {"project": {"env": "SHARED_DB=sunshine-horse\nN=blue"}}
    env = "DB_PASSWORD=${{project.SHARED_DB}}\nA_SECRET=sun-${{project.N}}-shine"
    mask = Variables.model_validate({"env": env, "environment": shared}).mask()

    assert redact("no login with sunshine-horse, sun-blue-shine", mask) == "no login with ***, ***"


@each_row("columns", [76, 64])
def test_a_value_in_lines_of_base64_is_hidden(columns: int) -> None:
    for value, before, between in (
        ("Zx9q7Kp" * 30, "ada:", "\r\n"),
        ("Zx9q7Kp" * 3, "GREETING=hello and\nA=" * 2, "\n#9 0.31 "),
    ):
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


def test_a_variable_of_many_secrets_takes_no_time() -> None:
    """Such as the certificates of all authorities."""
    began = time.process_time()
    for form in ("{}", '"{}", '):
        pieces = "".join(form.format(f"{n:x}-{n * 7919:x}") for n in range(99_999, 109_000))
        mask = Mask([("V", pieces), ("A", f'[{pieces}"x"]')])
        redact("#12 1.234 added 812 packages, and audited 813 packages in 4s\n" * 2000, mask)
    assert time.process_time() - began < 4


@each_row("piece", ["value-1", "=", "\x1b]", "%41", "a:", "{", "\\", "''", "\\xc3", "\\303"])
def test_a_log_of_pieces_of_values_holds_nothing_up(piece: str) -> None:
    mask = Mask((f"V{n}", f"value-{n}-{n * 7919:x}-{piece}") for n in range(100))
    text = piece * (100_000 // len(piece))
    began = time.process_time()
    redact(text, mask)
    Mask([("V", text)])
    assert time.process_time() - began < 1


# ── what looks like a secret ─────────────────────────────────────────────────


@each_row(
    ("text", "shown"),
    [
        ('{"password":"a\\"k3J9xQ2mZ8", "b": 1}', '{"password":***, "b": 1}'),
        ("'secret': b'k3J9xQ2m', 'b'", "'secret': ***, 'b'"),
        ('~ password = "k3J9xQ" -> "mZ8rT5" # x', "~ password = *** -> *** # x"),
        ("<password>k3J9xQ2m</password>", "<password>***</password>"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end", "jwt *** end"),
        ("GET /z?a=1&X-Amz-Signature=0a1b2c3d4e HTTP", "GET /z?a=1&X-Amz-Signature=*** HTTP"),
        ("mysql -pa1b2c3 x && redis-cli -a x7y8z9", "mysql -p*** x && redis-cli -a ***"),
        ("podman login -u ada -p k3J9xQ2m x.de", "podman login -u ada -p *** x.de"),
        ("curl -sSfu ada:k3J9xQ2m https://x.de", "curl -sSfu ada:*** https://x.de"),
        ("openssl rsa -passin pass:k3J9xQ2m -in a", "openssl rsa -passin *** -in a"),
        ("echo k3J9 | docker login --password-stdin", "echo *** | docker login --password-stdin"),
        ("#9 1.2 DB_PASSWORD=ab;k3J9xQ2m end", "#9 1.2 DB_PASSWORD=*** end"),
        ("DB_PASSWORD='k3J9'\\''xQ2m' end", "DB_PASSWORD=***' end"),
        ("Password=k3J9;Encrypt=true (password: k9x)", "Password=***;Encrypt=true (password: ***)"),
        ("?token=k3J9xQ2m&b=1, ?token=k3J9xQ2m&amp;b=1", "?token=***&b=1, ?token=***&amp;b=1"),
        ("define( 'AUTH_KEY',         'k3J9xQ2m' );", "define( 'AUTH_KEY',         '***' );"),
        ('os.Setenv("DB_PASSWORD", "k3J9xQ2m")', 'os.Setenv("DB_PASSWORD", "***")'),
        ('["DB_PASSWORD"]=>\n  string(8) "k3J9xQ2m"', '["DB_PASSWORD"]=>\n  string(8) ***'),
        ('{"name":"DB_PASSWORD","value":"k3J9"}', '{"name":"DB_PASSWORD","value":***}'),
        ("Incorrect API key provided: k3J9xQ2m****Z8rT.", "Incorrect API key provided: ***"),
        ('const API_KEY: string = "k3J9xQ2m";', "const API_KEY: string = ***;"),
    ],
)
def test_a_secret_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDC7u3b4oXk0aZ9"
OTHER = LINE[::-1]
SPLIT = f"#9 0.3 {BEGIN}\n#9 0.3 {LINE}\n#12 4.1 added 812 packages\n\n#9 0.4 {OTHER}\n#9 0.4 Q5A="


@each_row(
    "written",
    [
        "{}\n{}\n{}\n{}", "{}\n\n{}\n\n{}\n\n{}", '["{}", "{}", "{}", "{}"]',
        "{}<br>{}<br>{}<br>{}",
        "I, [2026-12-01T15:00:00 #1]  INFO -- : {}\n" * 4, "Dec  1 15:00:00 web app[12]: {}\n" * 4,
        "deploy_key:{}\n" * 4, '{{"log":"{}\\n","time":"2026-12-01T15:00:00Z"}}\n' * 4,
        "     1\t{}\n" * 4, "{}%0A{}%0A{}%0A{}", '. "{}\\n"\n' * 4, "<key>{}\n{}\n{}\n{}</key>",
        "{}\n#12 4.1 added 812 packages\n{}\n#12 ...\n\n{}\n{}",
        "{}\nx y\n{}\n" + "x y\n" * 150 + "{}\n",
    ],
)  # fmt: skip
def test_a_private_key_is_hidden_whatever_is_between_its_lines(written: str) -> None:
    text = written.format(BEGIN, LINE, OTHER, END)

    shown = redact(text)

    assert (LINE[5:35] in shown, OTHER[5:35] in shown) == (False, False)
    assert shown.count("\n") == text.count("\n")
    assert shown.count("added 812 packages") == text.count("added 812 packages")


@each_row(
    ("text", "shown"),
    [
        (SPLIT, SPLIT.replace(LINE, "***").replace(OTHER, "***").replace("Q5A=", "***")),
        (f"so: {BEGIN}\n{'A1' * 12}\n{END}", f"so: {BEGIN}\n***\n{END}"),
        (f"{BEGIN}\n{LINE}\n{LINE}\nabcd\n{END}", f"{BEGIN}\n***\n***\n***\n{END}"),
        (f"a {BEGIN}\n{LINE}\nQ5A=\nnode20\nx", f"a {BEGIN}\n***\n***\nnode20\nx"),
        (
            f"{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{LINE}\nx y",
            f"{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n***\nx y",
        ),
        (f"#9 1.2 {LINE}\n#9 1.3 abcd\n#9 1.3 {END}", f"#9 1.2 ***\n#9 1.3 ***\n#9 1.3 {END}"),
        (f"  key: |\n    {BEGIN}\n    {LINE}\nb: 1", f"  key: |\n    {BEGIN}\n    ***\nb: 1"),
        (f'"{BEGIN}\\n{LINE}\\nQ5A=\\n{END}\\n" is', f'"{BEGIN}***{END}\\n" is'),
        (f"{BEGIN} {LINE} {LINE} abcd {END}", f"{BEGIN}***{END}"),
        (f"so {LINE}\\n{LINE}\\n{END}", f"so ***{END}"),
        (f"no start '{BEGIN}' found\nat a.py", f"no start '{BEGIN}' found\nat a.py"),
        (f"{LINE}\n{BEGIN}\n{LINE}\nBuilding\nx", f"{LINE}\n{BEGIN}\n***\nBuilding\nx"),
        (f"{BEGIN}\nthe log ends here", f"{BEGIN}\nthe log ends here"),
    ],
)
def test_of_a_private_key_its_own_lines_are_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@each_row(
    "text",
    [
        "error: unexpected token: ';' in line 3", "see https://example.com/docs?page=2",
        "the secret of good coffee", "keyboard=qwerty", "cp -a /src redis-cli", "",
        "max_tokens: 4096, tokens: 1234 total, tokens=1234", "cache_key=web-12", "key: value",
        "mkdir -p /app && mysql --version && mkdir -p /data", "http://[::1]:5173/@vite/client",
        "clone ssh://git@git.example.com/acme/shop.git", "API-REFERENCE.md", "bearer of news",
        'the requirement `jsonwebtoken = "^99"`, and tiktoken==99.0 (from versions: 0.1.1)',
        "/app/src/auth/token.ts: 'import' and 'export'", "--- PASS: TestTokenRefresh (0.00s)",
        "JWT_SECRET: Required", "Usage: deploy [--token TOKEN] --api-key <KEY>",
        "MISSING_TOKEN: please set it", "SECRET_KEY: field required", "it is v1.0-beta",
        "password: process.env.DB_PASSWORD, token: ${CI_TOKEN}", "task-us-west-2-worker",
        "Access denied for user 'root'@'172.18.0.3' (using password: NO)", "npm_config_cache",
        "Error: STRIPE_SECRET_KEY: missing\nDD_API_KEY: missing\nInvalid token: expired",
        "AUTH_SECRET: Too small: expected string to have >=32 characters", "token: string | null",
        "docker build --secret id=npmrc,src=/root/.npmrc .", "sk-fading-circle-of-the-loader",
        "  + password = (known after apply)\n  ~ password = (sensitive value)", "sha512-Ab1/Ab1/==",
        "failed to fetch oauth token: 401", "  token: getToken(), secret: config.secret,",
        "RUN NPM_TOKEN=$NPM_TOKEN npm ci", "  --token string   API token", "commit 4b1d" + "0" * 36,
        "error: command '/usr/bin/gcc -pthread -I/usr/include/mysql -pipe -c x.c' failed",
        '{"token":null,"user":"ada"}', '"auth": "required-user"', "sha256:" + "4b1d" * 16,
        "https://shop.example.com:8080/a@b", "--password-file /run/secret", "write KEY=value",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


EXAMPLES = ("://(?:", "token=)[", "password=(", '"x-api-key": key.value', '"whsec_…"')
"""Pieces of the bridge's own literals that are patterns of secrets, or show where one goes."""


def test_the_bridges_own_words_stay() -> None:
    texts = {
        node.value
        for _, source in modules()
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    changed = {text for text in texts if redact(text) != without_steering(text)}
    assert {text for text in changed if not any(one in text for one in EXAMPLES)} == set()


@given(st.lists(st.sampled_from([*KINDS.values(), BEGIN, END, LINE, "", "a", '"', "PASSWORD:"])))
def test_a_text_keeps_its_lines(lines: list[str]) -> None:
    text = "\n".join(lines)

    assert redact(text).count("\n") == text.count("\n")


PIECES = (
    *("eyJ-", "eyJaaaaaaaaaa.", "token_", "password: ", "a://", "bearer ", " ", "'", '="', "xoxb-"),
    *(f"{BEGIN}\n", f"{BEGIN}\n{LINE}\n", f"{LINE} ", "-----END ", "\n", "\\n", f"{BEGIN}{LINE}"),
    *("mysql -p ; ", " && ", "+", "&sig=", "pass=a/", "mysql -\n"),
)


@each_row("piece", PIECES)
def test_a_log_that_is_made_to_hold_it_up_does_not(piece: str) -> None:
    """Whoever can push can print anything while it is built, and all else waits meanwhile."""
    text = piece * (100_000 // len(piece))
    began = time.process_time()
    redact(f"{text}\n{END}\n{BEGIN}{text}{END}")
    assert time.process_time() - began < 1
