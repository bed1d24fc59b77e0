"""Secrets as builds print them: the kinds with a known shape, and the forms of values."""

import base64
import html
import json
import random
import re
import shlex
import string
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

_PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\n{0}\n-----END OPENSSH PRIVATE KEY-----"

KINDS: Mapping[str, str] = {
    "a password's variable": "DB_PASS={0}",
    "a passphrase": "PASSPHRASE={0}",
    "a key's variable": "STRIPE_KEY={0}",
    "a key of Rails": "SECRET_KEY_BASE={0}",
    "a connection string": "AccountName=shop;AccountKey={0};EndpointSuffix=example.com",
    "the address of a tracker": "SENTRY_DSN={0}",
    "blanks": "PASSWORD   =   {0}",
    "a tab": "PASSWORD\t=\t{0}",
    "a sentence": "the password is {0} now",
    "the next line": "PASSWORD:\n  {0}",
    "a name in colours": "PASS\x1b[31mWORD\x1b[0m={0}",
    "an option": "deploy --password {0} --force",
    "an option of MySQL": "mysql -u root -p{0} shop",
    "a token's header": "Authorization: token {0}",
    "a basic header": "authorization: Basic {0}",
    "a bearer's header": "'Authorization': 'Bearer {0}'",
    "npm's file": "//npm.example.org/:_authToken={0}",
    "Docker's file": '{{"auths":{{"ghcr.io":{{"auth":"{0}"}}}}}}',
    **{begin: f"it says {begin}{{0}} there" for begin in (
        "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xapp-", "sk-", "sk-ant-",
        "sk-proj-", "dckr_pat_", "npm_", "pypi-", "AIza", "hvs.", "key-",
    )},
    "SG.": "it says SG.{0}.{0} there",
    "AKIA": "it says AKIA{1} there",
    "age": "AGE-SECRET-KEY-1{1}",
    "a signed token": "eyJ{0}.eyJ{0}.{0}",
    "a private key": _PEM,
    "a webhook of Slack": "https://hooks.slack.com/services/T00000000/B00000000/{0}",
    "a webhook of Discord": "https://discord.com/api/webhooks/123456789012345678/{0}",
    "a slash in an address": "postgres://shop:p/{0}@db:5432/shop",
    "an @ in an address": "postgres://shop:p@{0}@db:5432/shop",
    "an address of MongoDB": "mongodb+srv://shop:{0}@cluster0.example.net/shop",
}  # fmt: skip
"""A line for each of the 44 kinds: {0} is a secret, {1} one of 16 capitals and digits."""


_SIGNS = {
    "A": string.ascii_uppercase + string.digits,
    "a": string.ascii_letters + string.digits,
    "l": string.ascii_letters,
    "h": "0123456789abcdef",
    "0": string.digits,
}

FURTHER = (
    "A3-{A6}-{A6}-{A5}-{A5}-{A5}-{A5}", "A3-{A6}-{A11}-{A5}-{A5}-{A5}", "ops_eyJ{a260}",
    "p8e-{h32}", "pat{a14}.{h64}", "LTAI{a20}", "AKCp{a69}", "ABSK{a120}", "{a3}8Q~{a34}",
    "4b1d{a38}", "CLOJARS_{h60}", "v1.0-{h24}-{h146}", "duffel_live_{a43}", "EZAK{a54}",
    "EAAC{a110}", "EAAA{a60}", "FLWSECK_TEST-{h32}-X", "GR1348941{a20}", "glffct-{a20}",
    "glimt-{a25}", "eyJrIjoi{a80}==", "pat.{a22}.{a24}.{a20}", "{a14}.atlasv1.{a64}",
    "HRKU-AA{a58}", "api_org_{l34}", "ico-{a32}", "{a6}_{a29}_mmk", "ntn_{011}{a35}", "API-{A26}",
    "sha256~{a43}", "pplx-{a48}", "pscale_pw_{a43}", "pnu_{a36}", "rdme_{h70}", "tk-us-{a48}",
    "sm_pat_{a16}", "shippo_live_{h40}", "sgp_{h40}", "tfp_{a59}", "fm1r_{a120}", "fio-u-{a64}",
    "_gitlab_session={h32}", '<add key="ClearTextPassword" value="{a20}" />',
)  # fmt: skip
"""Further tokens that gitleaks knows: {a20} stands for twenty letters and digits."""


def further(form: str) -> tuple[str, str]:
    """Return a token of a form, and its longest secret part."""
    chance = random.Random(form)
    parts = [
        "".join(chance.choices(_SIGNS[signs], k=int(length)))
        for signs, length in re.findall(r"\{(\w)(\d+)\}", form)
    ]
    left = iter(parts)
    return re.sub(r"\{\w\d+\}", lambda _: next(left), form), max(parts, key=len)


def printed(kind: str, secret: str) -> str:
    """Return a line with a secret of a kind."""
    return KINDS[kind].format(secret, secret[:16].upper())


def _basic(value: str) -> str:
    return base64.b64encode(f"shop:{value}".encode()).decode()


def _of_signs(spelled: Callable[[str], str], signs: str) -> Callable[[str], str]:
    """Return what spells some signs of a value in its own way."""
    return lambda value: re.sub(f"[{re.escape(signs)}]", lambda found: spelled(found[0]), value)


FORMS: Mapping[str, Callable[[str], str]] = {
    "as it is": str,
    "in an address": lambda value: quote(value, safe=""),
    "in a form": quote_plus,
    "in small hex": lambda value: quote(value, safe="").replace("%2F", "%2f"),
    "in JSON": lambda value: json.dumps({"value": value}),
    "in Python": repr,
    "on a page": html.escape,
    "in base64": lambda value: base64.b64encode(value.encode()).decode(),
    "after a user, in base64": _basic,
    "in JSON in JSON": lambda value: json.dumps(json.dumps({"value": value})),
    "in PHP's JSON": lambda value: json.dumps(value).replace("/", "\\/"),
    "in .NET's JSON": _of_signs(lambda sign: f"\\u{ord(sign):04X}", "\\\"'&<+é"),
    "on a page in digits": _of_signs(lambda sign: f"&#{ord(sign):03};", "&<'\"+%"),
    "on a page in hex": _of_signs(lambda sign: f"&#x{ord(sign):X};", "&<'\"=+"),
    "as browsers encode it": lambda value: quote(value, safe="!'()*~"),
    "quoted for a shell": shlex.quote,
    "escaped for a shell": _of_signs(lambda sign: f"\\{sign}", "@ +&'\"\\<$"),
    "in Python's bytes": lambda value: repr(value.encode()),
    "in a shell's octal digits": _of_signs(
        lambda sign: "".join(f"\\{byte:03o}" for byte in sign.encode()), "é'\\"
    ),
    "in SQL and YAML": lambda value: value.replace("'", "''"),
    "in CSV": lambda value: value.replace('"', '""'),
    "in Compose": lambda value: value.replace("$", "$$"),
    "in colours": lambda value: f"\x1b[1m{value[:5]}\x1b[0m{value[5:]}",
}
"""How programs print a value."""


def traces(value: str) -> set[str]:
    """Return what must not be seen of a value: its halves, also in the middle of base64."""
    half = len(value) // 2
    whole = base64.b64encode(value.encode()).decode()
    after = _basic(value)
    return {value[2:half], value[half:-2], whole[4:-4], after[12:-4]}
