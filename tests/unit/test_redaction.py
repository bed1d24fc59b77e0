"""What looks like a secret is not shown."""

import ast
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import bridge
from bridge.core.log_text import without_steering
from bridge.core.masking import redact
from tests.worlds.rows import each_row
from tests.worlds.secrets import KINDS


@each_row(
    ("text", "shown"),
    [
        ('{"password":"a\\"k3J9xQ2mZ8", "b": 1}', '{"password":***, "b": 1}'),
        ("'secret': b'k3J9xQ2m', 'b'", "'secret': ***, 'b'"),
        ('~ password = "k3J9xQ" -> "mZ8rT5" # x', "~ password = *** -> *** # x"),
        ("#5 [2/5] ENV DB_PASSWORD k3J9xQ2m", "#5 [2/5] ENV DB_PASSWORD ***"),
        ("{Password:k3J9xQ2m User:ada}", "{Password:*** User:ada}"),
        ("    [password] => k3J9xQ2m", "    [password] => ***"),
        ("define('DB_PASSWORD', 'k3J9xQ2m');", "define('DB_PASSWORD', '***');"),
        ("<password>k3J9xQ2m</password>", "<password>***</password>"),
        ("machine x login ada password k3J9xQ2m", "machine x login ada password ***"),
        ("USER ada IDENTIFIED BY 'k3J9xQ2m'", "USER ada IDENTIFIED BY ***"),
        ("NPM_TOKEN=abc123 next", "NPM_TOKEN=*** next"),
        ('"password": "hunter2", "user": "ada"', '"password": ***, "user": "ada"'),
        ("export API_KEY='a b c'", "export API_KEY=***"),
        ("clone https://ada:ghp_secret@github.com/a/b", "clone https://***@github.com/a/b"),
        ("postgres://u:p@db:5432/x", "postgres://***@db:5432/x"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("token ghp_0123456789abcdefghij0123", "token ***"),
        ("glpat-0123456789abcdefghij", "***"),
        ("xoxb-1234567890-abc", "***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        (
            f"POST https://discord.com/api/webhooks/123456789012345678/{'x' * 68}?wait=true",
            "POST https://discord.com/api/webhooks/***?wait=true",
        ),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end", "jwt *** end"),
        ("sess-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "***"),
        ("GET /z?a=1&X-Amz-Signature=0a1b2c3d4e HTTP", "GET /z?a=1&X-Amz-Signature=*** HTTP"),
        ("mysql -pa1b2c3 x && redis-cli -a x7y8z9", "mysql -p*** x && redis-cli -a ***"),
        ("/usr/bin/mysqldump -uroot -pa1b2c3 x", "/usr/bin/mysqldump -uroot -p*** x"),
        ("podman login -u ada -p k3J9xQ2m x.de", "podman login -u ada -p *** x.de"),
        ("twine upload -u __token__ -p k3J9xQ2m dist/*", "twine upload -u __token__ -p *** dist/*"),
        ("dotnet nuget add source x -p k3J9xQ2m", "dotnet nuget add source x -p ***"),
        ("curl -sSfu ada:k3J9xQ2m https://x.de", "curl -sSfu ada:*** https://x.de"),
        ("keytool -list -storepass k3J9xQ2m -v", "keytool -list -storepass *** -v"),
        ("openssl rsa -passin pass:k3J9xQ2m -in a", "openssl rsa -passin *** -in a"),
        (
            "echo k3J9xQ2m | docker login --password-stdin",
            "echo *** | docker login --password-stdin",
        ),
        ("DB_PASSWORD=true,k3J9xQ2m", "DB_PASSWORD=***"),
        ("DB_PASSWORD=a&k3J9;x,Q2m", "DB_PASSWORD=***"),
        ("#9 1.2 DB_PASSWORD=ab;k3J9xQ2m end", "#9 1.2 DB_PASSWORD=*** end"),
        ("DB_PASSWORD='k3J9'\\''xQ2m' end", "DB_PASSWORD=***' end"),
        (
            "Password=k3J9;Encrypt=true (password: k3J9x)",
            "Password=***;Encrypt=true (password: ***)",
        ),
        ("?token=k3J9xQ2m&b=1, ?token=k3J9xQ2m&amp;b=1", "?token=***&b=1, ?token=***&amp;b=1"),
        (
            '- admin_password                  = "k3J9" -> null',
            "- admin_password                  = *** -> null",
        ),
        ("DB_PASSWORD:              k3J9xQ2m", "DB_PASSWORD:              ***"),
        ("define( 'AUTH_KEY',         'k3J9xQ2m' );", "define( 'AUTH_KEY',         '***' );"),
        ('os.Setenv("DB_PASSWORD", "k3J9xQ2m")', 'os.Setenv("DB_PASSWORD", "***")'),
        ("ENV['DB_PASSWORD'] = 'k3J9xQ2m'", "ENV['DB_PASSWORD'] = ***"),
        ('["DB_PASSWORD"]=>\n  string(8) "k3J9xQ2m"', '["DB_PASSWORD"]=>\n  string(8) ***'),
        ('{"name":"DB_PASSWORD","value":"k3J9"}', '{"name":"DB_PASSWORD","value":***}'),
        ("- name: DB_PASSWORD\n  value: k3J9", "- name: DB_PASSWORD\n  value: ***"),
        ("ALTER USER shop WITH PASSWORD 'k3J9xQ2m';", "ALTER USER shop WITH PASSWORD ***;"),
        (
            "IDENTIFIED WITH mysql_native_password BY 'k3J9'",
            "IDENTIFIED WITH mysql_native_password BY ***",
        ),
        ("Incorrect API key provided: k3J9xQ2m****Z8rT.", "Incorrect API key provided: ***"),
        ("Unseal Key 1: k3J9xQ2m+/Z8", "Unseal Key 1: ***"),
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
        "error: unexpected token: ';' in line 3",
        "Step 3/7 : RUN npm run build",
        "see https://example.com/docs?page=2",
        "the secret of good coffee",
        "keyboard=qwerty",
        "max_tokens: 4096, tokens: 1234 total, tokens=1234",
        "cp -a /src redis-cli",
        "mkdir -p /app && mysql --version && mkdir -p /data",
        "http://[::1]:5173/@vite/client",
        "clone ssh://git@git.example.com/acme/shop.git",
        'the requirement `jsonwebtoken = "^99"`, and tiktoken==99.0 (from versions: 0.1.1)',
        "@acme/design-tokens: src/index.ts(3,5): error",
        "/app/src/auth/token.ts: 'import' and 'export'",
        "--- PASS: TestTokenRefresh (0.00s)",
        'PASS: tests/foo.sh, "jsonwebtoken": "^9.0.2", js-tokens: 4.0.0',
        "JWT_SECRET: Required",
        "Usage: deploy [--token TOKEN] --api-key <KEY>",
        "MISSING_TOKEN: please set it",
        "SECRET_KEY: field required",
        "password: process.env.DB_PASSWORD, token: ${CI_TOKEN}",
        "Access denied for user 'root'@'172.18.0.3' (using password: NO)",
        "Error: STRIPE_SECRET_KEY: missing\nDD_API_KEY: missing\nInvalid token: expired",
        "password: incorrect, token: invalid.",
        "STRIPE_SECRET_KEY: Invalid input: expected string, received undefined",
        "AUTH_SECRET: Too small: expected string to have >=32 characters",
        "JWT_SECRET: 'must be at least 32 characters long'",
        "docker build --secret id=npmrc,src=/root/.npmrc .",
        "credentials: /root/.aws/credentials not found",
        "  + password = (known after apply)\n  ~ password = (sensitive value)",
        "syntax error near unexpected token: `fi'",
        "failed to fetch oauth token: 401",
        "  token: getToken(), secret: config.secret,",
        "RUN NPM_TOKEN=$NPM_TOKEN npm ci",
        "  --token string   API token",
        "error: command '/usr/bin/gcc -pthread -I/usr/include/mysql -pipe -c x.c' failed",
        "npm install mysql2 -production",
        '{"token":null,"user":"ada"}',
        '"auth": "required-user"',
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


EXAMPLES = (
    "://(?:",
    "token=)[",
    "password=(",
    '"x-api-key": key.value',
    'signing_tokens: "whsec_…"',
)
"""Pieces of the bridge's own literals that are patterns of secrets, or show where one goes."""


def test_the_bridges_own_words_stay() -> None:
    texts = {
        node.value
        for file in Path(bridge.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    changed = {text for text in texts if redact(text) != without_steering(text)}
    assert {text for text in changed if not any(one in text for one in EXAMPLES)} == set()


def test_other_text_in_front_of_each_line_hardly_slows_down_a_private_key() -> None:
    def seconds(front: Callable[[int], str]) -> float:
        lines = "\n".join(f"{front(n)} {LINE[:20]}" for n in range(950))
        taken = []
        for _ in range(3):
            began = time.process_time()
            redact(f"{BEGIN}\n{lines}\n{END}")
            taken.append(time.process_time() - began)
        return min(taken)

    assert seconds(lambda n: f"({n:b})".translate({48: "x", 49: "."})) < 3 * seconds("({})".format)


@given(st.lists(st.sampled_from([*KINDS.values(), BEGIN, END, LINE, "", "a", '"', "PASSWORD:"])))
def test_a_text_keeps_its_lines(lines: list[str]) -> None:
    text = "\n".join(lines)

    assert redact(text).count("\n") == text.count("\n")


@each_row(
    "piece",
    [
        *("eyJ-", "eyJaaaaaaaaaa.", "a-", "token", "token_", "password: ", "a://", "bearer "),
        *("-----BEGIN PRIVATE KEY-----", "-----END ", "\n", " ", "'", '="', "xoxb-", "_", "glpat-"),
        *(f"{BEGIN}\n", f"{BEGIN}\n{LINE}\n", f"{LINE}\n", f"{LINE} ", f"{END}\n", "\\n"),
        *(
            f"{BEGIN} ",
            f"{BEGIN}{LINE}",
            "mysql -p ; ",
            "mysql ",
            " && ",
            "+",
            "&sig=",
            "token: a b",
            "pass=a/",
            "mysql -\n",
            "token='",
        ),
    ],
)
def test_a_log_that_is_made_to_hold_it_up_does_not(piece: str) -> None:
    """Whoever can push can print anything while it is built, and all else waits meanwhile."""
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    redact(f"{text}\n{END}\n{BEGIN}{text}{END}")
    assert time.process_time() - began < 2
