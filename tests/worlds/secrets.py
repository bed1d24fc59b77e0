"""Secrets as builds print them: the kinds with a known shape, and the forms of values."""

import base64
import html
import json
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


def printed(kind: str, secret: str) -> str:
    """Return a line with a secret of a kind."""
    return KINDS[kind].format(secret, secret[:16].upper())


def _basic(value: str) -> str:
    return base64.b64encode(f"shop:{value}".encode()).decode()


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
    "in colours": lambda value: f"\x1b[1m{value[:5]}\x1b[0m{value[5:]}",
}
"""How programs print a value."""


def traces(value: str) -> set[str]:
    """Return what must not be seen of a value: its halves, also in the middle of base64."""
    half = len(value) // 2
    whole = base64.b64encode(value.encode()).decode()
    after = _basic(value)
    return {value[2:half], value[half:-2], whole[4:-4], after[12:-4]}
