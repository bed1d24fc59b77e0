"""What looks like a secret is not shown."""

import ast
import time

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.log_text import without_steering
from bridge.core.masking import redact
from tests.worlds.rows import each_row
from tests.worlds.secrets import KINDS
from tests.worlds.sources import modules, parsed


@each_row(
    ("text", "shown"),
    [
        ('{"password":"a\\"k3J9xQ2mZ8", "b": 1}', '{"password":***, "b": 1}'),
        ("'secret': b'k3J9xQ2m', 'b'", "'secret': ***, 'b'"),
        ('~ password = "k3J9xQ" -> "mZ8rT5" # x', "~ password = *** -> *** # x"),
        ("<password>k3J9xQ2m</password>", "<password>***</password>"),
        ("machine x login ada password k3J9xQ2m", "machine x login ada password ***"),
        ("USER ada IDENTIFIED BY 'k3J9xQ2m'", "USER ada IDENTIFIED BY ***"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end", "jwt *** end"),
        ("GET /z?a=1&X-Amz-Signature=0a1b2c3d4e HTTP", "GET /z?a=1&X-Amz-Signature=*** HTTP"),
        ("mysql -pa1b2c3 x && redis-cli -a x7y8z9", "mysql -p*** x && redis-cli -a ***"),
        ("podman login -u ada -p k3J9xQ2m x.de", "podman login -u ada -p *** x.de"),
        ("curl -sSfu ada:k3J9xQ2m https://x.de", "curl -sSfu ada:*** https://x.de"),
        ("keytool -list -storepass k3J9xQ2m -v", "keytool -list -storepass *** -v"),
        ("openssl rsa -passin pass:k3J9xQ2m -in a", "openssl rsa -passin *** -in a"),
        (
            "echo k3J9xQ2m | docker login --password-stdin",
            "echo *** | docker login --password-stdin",
        ),
        ("DB_PASSWORD=a&k3J9;x,Q2m", "DB_PASSWORD=***"),
        ("#9 1.2 DB_PASSWORD=ab;k3J9xQ2m end", "#9 1.2 DB_PASSWORD=*** end"),
        ("DB_PASSWORD='k3J9'\\''xQ2m' end", "DB_PASSWORD=***' end"),
        (
            "Password=k3J9;Encrypt=true (password: k3J9x)",
            "Password=***;Encrypt=true (password: ***)",
        ),
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
        (f"{BEGIN}\nabc\n{END}\nx", f"{BEGIN}\n***\n{END}\nx"),
        (f"{BEGIN}\n{LINE}\n{LINE}\nabcd\n{END}", f"{BEGIN}\n***\n***\n***\n{END}"),
        (f"a {BEGIN}\n{LINE}\nQ5A=\nnode20\nx", f"a {BEGIN}\n***\n***\nnode20\nx"),
        (
            f"{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{LINE}\nx y",
            f"{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n***\nx y",
        ),
        (
            f"#9 1.201 {BEGIN}\n#9 1.202 {LINE}\n#9 1.210 Q5A=\n#10 DONE",
            f"#9 1.201 {BEGIN}\n#9 1.202 ***\n#9 1.210 ***\n#10 DONE",
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
