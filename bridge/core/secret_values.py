"""Tell which names tell of secrets, which values must not be shown, and which pieces of them.

The name of a variable decides first, then the look of its value: words, numbers and versions are
plain, since logs are full of them; what looks made by chance is secret under any name. Pure.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

# ── Names ───────────────────────────────────────────────────────────────────────────────────────

_LONGEST_TOLD = 100

_TELLING = re.compile(
    r"token(?!i[sz])|secret|passw|passphrase|passcode|(?<![a-z])pwd|credential|dsn\b|connection_?string"
    r"|(?:^|[._-]|db|user|smtp|mail|store|key)pass(?:in|out)?$"
    r"|(?:api|access|account|shared|private|encryption|signing|master|licen[cs]e|auth|deploy|unseal"
    r"|storage|service|admin|stripe|client|session|app|root|webhook)[_-]?key"
    r"|(?-i:(?:^|_)KEY$)|(?-i:_AUTH$)",
    re.IGNORECASE,
)
_TELLING_OF_ANOTHER_THING = re.compile(
    r"[_-](?:files?|ur[il]|path|name|id|type|count|limit|length|size|endpoint|ttl|expir\w*|header"
    r"|prefix|provider|issuer|audience|algorithm|hasher|policy|enabled|required)$"
    r"|^(?:--?)?(?:public|cache|sort|primary|foreign|partition)_?key$",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def tells_of_secret(name: str) -> bool:
    """Return whether what has this name is a secret."""
    name = name[-_LONGEST_TOLD:]
    return bool(_TELLING.search(name)) and not _TELLING_OF_ANOTHER_THING.search(name)


def counts_tokens(name: str, value: str) -> bool:
    """Return whether a value says how many tokens there are, e.g. of a text for a model."""
    return value.isdecimal() and name.lower().endswith("tokens")


# ── Values of variables ─────────────────────────────────────────────────────────────────────────

SHORTEST = 6
"""Characters of a value below which it would hide ordinary words, unless it is like none."""

_SHORTEST_ODD = 4
SHORTEST_LINE = 8
_LONGEST_WORD = 14
_LONGEST_NAME = 24
_LONGEST_CAMELS = 40
_MOST_DIGITS = 8
_MOST_VERSIONS = 2

_ORDINARY = """
true false yes no on off none null undefined enabled disabled default auto always never silent
production development staging testing test tests preview local localhost public private internal
external debug info warning warnings error errors verbose trace release main master develop latest
stable strict relaxed inherit disable require required prefer allow allowed admin root user users
username password secret changeme guest postgres postgresql mysql mariadb mongodb redis rabbitmq
sqlite memory database storage application frontend backend website service services container
docker kubernetes nextjs django rails laravel express fastapi flask node nodejs python
bridge dokploy
"""
_WORDS = frozenset(_ORDINARY.split())
"""Values that are no secret under any name, since logs are full of them."""

_PUBLIC = (
    *("NEXT_PUBLIC_", "NUXT_PUBLIC_", "EXPO_PUBLIC_", "PUBLIC_", "VITE_", "REACT_APP_"),
    *("VUE_APP_", "GATSBY_"),
)
"""The beginnings of variables whose values are in the pages that anybody gets."""

_ALSO_TELLING = re.compile(
    r"(?:^|_)(?:pw|pword|passwort|pgpass|salt|pepper|creds?|mnemonic"
    r"|(?:seed|recovery)_?phrase)$",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$\{\w+\}|\$\{\{[\w.]+\}\}")
_NUMBER = re.compile(r"[\d.,:/%+-]{1,40}(?:ms|[smhdkKMGT]i?[bB]?)?")
_PIECES = re.compile(r"[^\W_]+")
_JOINED = re.compile(
    r"~?(?:[\w\s./:;@=,*-]|(?<=\s)(?:&&|\|\|)(?=\s))*|[a-z][a-z0-9+.-]{1,20}://[\w./:@=,?&#-]+"
)
_DOTTED = re.compile(r"\.[a-z]{2,18}(?::|/|$)")
_CODE = re.compile(r"[A-Za-z]{1,2}\d{1,4}")
_VERSION = re.compile(
    r"(?:(?i:alpine|amazon|armv|claude|cuda|debian|deno|fedora|golang|http|java|jammy|llama|mongo"
    r"|mysql|node|nodejs|oauth|openjdk|openssl|postgres|postgresql|python|redis|ruby|rust|scala"
    r"|ubuntu|windows))\d{1,3}[a-z]?"  # alpine3, Python312
    r"|[A-Za-z]{1,3}\d{1,4}[a-z]?|\d{1,5}[A-Za-z]{1,3}"  # ES2022, v2, i18n, 8GB
)
_NUMBERED = re.compile(r"(?:[a-z]{1,8}|[A-Z]{1,8}|[A-Z][a-z]{1,7})\d{1,3}[a-z]?")  # shop-db2.local
_CAMELS = re.compile(r"[A-Z]?[a-z]{2,}(?:[A-Z][a-z]{2,})+")


def secret_parts(name: str, value: str) -> Iterator[str]:
    """Yield what of a variable must not be shown: all of it, its lines, the credentials in it."""
    value = value.strip()
    members = _members_of(name, value)
    inside = {one for part in _credentials_in(name, value) for one in (part, unquote(part))}
    parts = {one for one in inside if _is_secret("secret", one)}
    parts |= {part for key, text in members for part in secret_parts(key, text)}
    if not parts and not _is_secret(name, value):
        return
    yield value
    yield from parts
    if not members:
        yield from _lines_of(name, value)


def _lines_of(name: str, value: str) -> Iterator[str]:
    r"""Yield the lines of a value, which a program may print apart; it may turn \n into lines."""
    text = re.sub(r"(?:\\r)?\\n", "\n", value)
    if "\n" not in text:
        return
    yield text
    for line in map(str.strip, text.splitlines()):
        if len(line) >= SHORTEST_LINE and not line.startswith("-----") and _is_secret(name, line):
            yield line


def _is_secret(name: str, value: str) -> bool:
    if value.lower() in _WORDS or len(value) < _SHORTEST_ODD or _REFERENCE.fullmatch(value):
        return False
    if counts_tokens(name, value):
        return False
    if tells_of_secret(name) or _ALSO_TELLING.search(name):
        return len(value) >= SHORTEST or not (value.isalpha() or _NUMBER.fullmatch(value))
    return len(value) >= SHORTEST and not _is_plain(name, value)


def _is_plain(name: str, value: str) -> bool:
    """Return whether a value is made of words, numbers and versions alone."""
    if _NUMBER.fullmatch(value):
        return len(max(re.findall(r"\d+", value), key=len, default="")) <= _MOST_DIGITS
    if _LOGIN.search(value):
        return False
    is_public = name.upper().startswith(_PUBLIC)
    is_place = "://" in value or value.startswith(("/", "./", "../", "~/")) or _DOTTED.search(value)
    if not is_public and not _JOINED.fullmatch(value):
        return False
    pieces = _PIECES.findall(value)
    longest = _LONGEST_NAME if is_public or is_place else _LONGEST_WORD
    odd = [piece for piece in pieces if not _is_word(piece, longest)]
    if is_public or is_place:
        return all(map(_is_version, odd))
    known = _CODE if len(pieces) == 1 else _VERSION
    most = _MOST_VERSIONS if value.startswith("-") else 1
    return len(odd) <= most and all(map(known.fullmatch, odd))


def _is_word(piece: str, longest: int) -> bool:
    """Return whether a piece of a value is a word or a short number."""
    if piece.isalpha():
        if _CAMELS.fullmatch(piece) and len(piece) <= _LONGEST_CAMELS:
            return True
        in_one_case = piece == piece.lower() or piece.istitle() or piece.isupper()
        return in_one_case and len(piece) <= longest
    return piece.isdecimal() and len(piece) <= _MOST_DIGITS


def _is_version(piece: str) -> bool:
    """Return whether a piece of a place is a version, a name with a number, or too short."""
    return len(piece) <= _SHORTEST_ODD or bool(
        _VERSION.fullmatch(piece) or _NUMBERED.fullmatch(piece)
    )


# ── Credentials in a value ──────────────────────────────────────────────────────────────────────

_LOGIN = re.compile(r"[^\s:/@]:[^\s/@]{1,200}@\w")
_ADDRESS = re.compile(
    r"://(?!\[)(?P<user>[^\s/@:\"']*)"
    r"(?::(?!\d{1,5}(?:[/?#]|$))(?P<password>(?:(?!://)[^\s\"'])*))?@"
)
_PATH = re.compile(r"://[^\s/?#]+(?P<path>/[^\s?#]*)?(?P<query>\?[^\s#]*)?")
_PASSWORD_OF_A_LOGIN = re.compile(r"(?:^|[\s,=])[^\s:/@]{1,100}:([^\s/@]{1,200})@\w")
_OF_AN_ADDRESS = re.compile(r"_(?:ur[il]|endpoint|address|link)$", re.IGNORECASE)
_MEMBER = re.compile(
    r"(?:^|[?&;,\s])\s{0,8}-{0,2}(?P<name>[A-Za-z][\w.-]{0,40}(?: [A-Za-z]{1,20})?)\s{0,8}=\s{0,8}"
    r"(?P<value>\"[^\"]*\"|'[^']*'|(?:(?!,\s*[A-Za-z][\w ]{0,40}=)[^;&\s])+)"
)
_SIGNATURE = re.compile(r"(?:^|-)sig(?:nature)?$", re.IGNORECASE)


def _credentials_in(name: str, value: str) -> Iterator[str]:
    """Yield the credentials in addresses, and those in lists such as `host=db;user=a`."""
    for found in _ADDRESS.finditer(value):
        if not _is_plain("", found["user"]):
            yield found["user"]
        if password := found["password"]:
            yield password
            yield password.partition("@")[0]
    if "hook" in name.lower() or tells_of_secret(_OF_AN_ADDRESS.sub("", name)):
        yield from (one for one in _of_the_path(value) if not _is_plain("", one))
    yield from _PASSWORD_OF_A_LOGIN.findall(value)
    if tells_of_secret(name) and "://" not in value:
        for one in re.split(r"[,\s]+", value):  # a list, or a user and a password
            yield from (part for part in (one, one.partition(":")[2]) if part != value)
    for member in _MEMBER.finditer(value):
        if tells_of_secret(member["name"]) or _SIGNATURE.search(member["name"]):
            yield member["value"].strip("\"'")


def _of_the_path(value: str) -> Iterator[str]:
    """Yield the path of an address, with its query and alone, and what its query says."""
    for found in _PATH.finditer(value):
        path, query = found["path"] or "", found["query"] or ""
        yield from (path, path + query)
        yield from (one.partition("=")[2] for one in query[1:].split("&"))


def _members_of(name: str, value: str) -> list[tuple[str, str]]:
    """Return the names and texts in a JSON value; none if it is another."""
    if not value.startswith(("{", "[")):
        return []
    try:
        return list(_texts_in(name, json.loads(value)))
    except (ValueError, RecursionError):
        return []


def _texts_in(name: str, found: Any) -> Iterator[tuple[str, str]]:
    match found:
        case str():
            yield name, found
        case dict():
            for key, one in found.items():
                yield from _texts_in(key, one)
        case list():
            for one in found:
                yield from _texts_in(name, one)
