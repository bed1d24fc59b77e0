"""Hide passwords, tokens and keys in any text, by their shapes.

Each shape names a piece of text without which it can't be there, so ordinary logs cost a search
instead of a pattern. The kinds are those that gitleaks knows and that leak in builds. Whoever can
push can print anything: every pattern takes time in proportion to the text. Pure.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from bridge.core.private_keys import HIDDEN, without_keys
from bridge.core.secret_values import counts_tokens, tells_of_secret
from bridge.core.token_prefixes import ANY_CASE, PREFIXES


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of secret.

    Attributes:
        needles: one of them is in every text with such a secret, in small letters.
        hide: returns a text without such secrets.
    """

    needles: tuple[str, ...]
    hide: Callable[[str], str]


def without_shapes(text: str) -> str:
    """Return a text with what looks like a password, token or key hidden."""
    low = text.lower()
    for hide in dict.fromkeys([hide for needle, hide in _by_needle() if needle in low]):
        text = hide(text)
    return text


def without_credentials(text: str) -> str:
    """Return a text whose addresses are without names and passwords."""
    return _compiled(_CREDENTIALS).sub(f"://{HIDDEN}@", text)


@cache
def _by_needle() -> tuple[tuple[str, Callable[[str], str]], ...]:
    """Return how to hide each shape, by all of its needles."""
    return tuple((needle, shape.hide) for shape in _shapes() for needle in shape.needles)


def _shapes() -> tuple[Shape, ...]:
    """Return all shapes in the order in which they are hidden."""
    return (
        Shape(("private key", "private%20key", "private+key"), without_keys),
        Shape(("://",), without_credentials),
        Shape(("sig=", "signature="), _replacing(_SIGNATURE, rf"\1{HIDDEN}", re.IGNORECASE)),
        Shape(("/services/", "/workflows/", "/triggers/"), _replacing(_SLACK_HOOK, rf"\1{HIDDEN}")),
        Shape(("/webhook",), _replacing(_HOOK, HIDDEN)),
        Shape(("authorization",), _replacing(_AUTHORIZATION, rf"\1\2{HIDDEN}", re.IGNORECASE)),
        Shape(("bearer", "basic"), _replacing(_SCHEME, rf"\1{HIDDEN}", re.IGNORECASE)),
        Shape(("eyj",), _replacing(_JWT, HIDDEN)),
        *_prefixed(),
        Shape((".atlasv1.",), _replacing(_TERRAFORM, HIDDEN)),
        Shape(("q~",), _replacing(_ENTRA, HIDDEN)),
        Shape(("_mmk",), _replacing(_MAXMIND, HIDDEN)),
        Shape(_WORDS, _without_named),
        *(Shape(needles, _laid_out(layout)) for needles, layout in _LAYOUTS),
        Shape(_OF_SQL_NEEDLES, _replacing(_OF_SQL, rf"\1{HIDDEN}", re.IGNORECASE)),
        Shape(("password ",), _replacing(_NETRC, rf"\1{HIDDEN}")),
        Shape(('auth"', 'auth\\"', "_auth"), _replacing(_DOCKER_AUTH, rf"\1{HIDDEN}")),
        Shape(tuple(_PROGRAMS), _without_arguments),
        Shape(("-stdin", "--with-token", "chpasswd"), _replacing(_PIPED, rf"\1{HIDDEN}")),
        Shape((" is", " was"), _without_spoken),
    )


def _replacing(pattern: str, shown: str, flags: int = 0) -> Callable[[str], str]:
    return lambda text: _compiled(pattern, flags).sub(shown, text)


@cache
def _compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return a pattern; most are never needed, so they are compiled when they are."""
    return re.compile(pattern, flags)


# ── Addresses and headers ───────────────────────────────────────────────────────────────────────

_CREDENTIALS = (
    r"://(?:"
    # Skip an IPv6 address, which is no user name, and `git@`, which everybody uses.
    r"(?!\[[\da-fA-F:.]{0,50}\]|git@)(?:"
    # A name and a password, which may hold / and @; a port in front of a path is none.
    r"[^\s/@:'\"]*:(?!\d{1,5}(?:[/?#]|$))(?:(?!://)[^\s'\"<>`])*"
    r"|[^\s/@'\"]+)"
    r")@"
)
_SIGNATURE = r"([?&][\w-]{0,20}sig(?:nature)?=)[^\s&\"'<>]{8,}"
_SLACK_HOOK = r"(hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/)[\w/+-]+"
_HOOK = r"(?<=/webhooks/)\d{15,20}/[\w-]{20,}|(?<=/webhookb2/)[\w@./-]{20,}"
_AUTHORIZATION = (
    r"(authorization\\?[\"']?[ \t]{0,3}[:=][ \t]{0,3}(?:\\?[\"'])?)"
    r"((?:bearer|basic|token|digest|bot|apikey|key|negotiate)[ \t]{1,3})?"
    r"(?(2)[^\s\"',;]{3,}|(?=[^\s\"',;]{0,200}\d)[^\s\"',;]{6,})"
)
_SCHEME = r"\b((?:bearer|basic)[ \t]{1,3})(?=[\w.~+/-]{0,200}[\d=])[\w.~+/=-]{8,}"

# ── Tokens that begin like no other text ────────────────────────────────────────────────────────

# Match a run of letters only from its beginning: from every position it would take minutes.
_JWT = r"(?<![\w-])(?>[\w-]{0,40}?eyJ)[\w-]{10,}+\.[\w-]{8,}+(?:\.[\w-]{5,})?"
_TERRAFORM = r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}"
_MAXMIND = r"(?<![A-Za-z0-9])[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"
_ENTRA = r"(?<![\w.~-])[\w.~]{3}\dQ~[\w.~-]{31,34}(?![\w.~-])"


def _prefixed() -> Iterator[Shape]:
    for begin, rest in PREFIXES.items():
        flags = re.IGNORECASE if begin in ANY_CASE else 0
        word = re.escape(begin)  # first, because a search for a literal is fast
        pattern = rf"{word}(?<![A-Za-z0-9_]{word}){rest}"
        yield Shape((begin.lower(),), _replacing(pattern, HIDDEN, flags))


# ── Values by the name in front of them ─────────────────────────────────────────────────────────

_CHANGED_TO = r"[ \t]->[ \t](\"[^\"\n]+\")"
_WORDS = (
    *("token", "secret", "passw", "passphrase", "passcode", "pwd", "credential", "dsn"),
    *("key", "pass", "connectionstring", "connection_string"),
)
"""One of them is in every name that tells of a secret, in small letters."""

_WORD = re.compile("|".join(_WORDS))
_NAMED = re.compile(
    r"(?<![\w.-])(?:(?P<name>[\w.-]++)(?:\\?[\"'])?+[ \t]{0,64}+"
    r"(?P<sign>=>?|:(?:=>?|[ \t]?&?[sS]tr(?:ing)?[ \t]=)?)"
    r"|(?P<option>--?[A-Za-z][\w-]*+)[ \t])"
)
_UNQUOTED = (
    r"(?:[^\s,;&?\"')\]}>\\]"
    # What separates values belongs to one unless a blank, the end or another name follows.
    r"|[,;&?\"')\]}>\\]++(?!\s|\Z|(?:amp;)?[\w.[\]-]{1,40}\\?[\"']?(?:=|:[\s\"'\\]))){3,}+"
)
_END = r"(?=[,;:.)\]}\"'`|&…\\]{0,4}(?:\s|$|(?<=[,}\]])\\?[\"']))"
_SAID = (  # by their first letters, so that most values are told apart by one
    r"(?:[tT](?i:rue)|[fF](?i:alse)|[nN](?i:ull|il|one|o)|[uU](?i:ndefined|nset)|[vV](?i:alue)"
    r"|[sS](?i:tring)|[rR](?i:equired)|[iI](?i:nherit|nvalid|ncorrect)|[yY](?i:es)"
    r"|[mM](?i:issing|ismatch|alformed)|[eE](?i:xpired|mpty))"
)
_CODE = (
    rf"(?:process|import|os|this|self|env|config|settings|req|var|data|Rails)(?:\.\w+)++"
    rf"(?:[!?]?{_END}|\[[\"'])|ENV\[[\"']|await[ \t]|<%|\$\(cat[ \t]|\$\{{\{{|==?[\"'\s]"
    r"|[A-Za-z_.]{2,}+\((?:[A-Za-z_.]*|[\"'][A-Z_]+[\"'])\)(?=[.,;)\s]|$)"
)
_NOTHING = (
    rf"(?!\*\*\*|\\?[\"']?{_SAID}(?:\|[A-Za-z]+)*{_END}|(?:`(?:[a-z:_-]+|[^\w\s]{{1,3}})[`']|\d{{3}}"
    r"|\$\{\w+\}|\$[A-Z_]{2,}|[\"']?<[A-Za-z_ -]{2,30}>|[~.]{0,2}/(?:[a-z._-]{2,}/)+[a-z._-]{2,})"
    rf"{_END}|\((?:known after apply|sensitive(?: value)?)\)|id=[\w.-]+(?:[,\s]|$)|{_CODE})"
)
"""Text after a name that is not a secret: an error's word, a path, a placeholder, code."""

_QUOTED = (
    r"b?\"(?:[^\"\\\n]|\\.){3,1000}+\"|\"[^\"\n]{3,}\""
    r"|b?'(?:[^'\\\n]|\\.){3,1000}+'|'[^'\n]{3,}'"
)
_VALUE = (
    rf"{_NOTHING}(?:\\\"[^\"\n]+\"|(?:{_QUOTED})(?:(?=[\"'\\]){_UNQUOTED})?"
    rf"|(?!\"[^\"\n]{{0,2}}\"|'[^'\n]{{0,2}}'){_UNQUOTED})"
)
_BELOW = r"(?=[^\s]{0,100}[\d!@#$%^*+/_-])[^\s:]{6,}(?=[ \t]*(?:\r?\n|\Z))"
_AFTER = {
    "=": rf"[ \t]{{0,64}}+(?:({_VALUE})|\r?\n[ \t]{{0,20}}({_BELOW}))",
    ":": (rf"(?:[ \t]{{1,64}}+|(?=\\?[\"']))({_VALUE})|[ \t]{{0,64}}+\r?\n[ \t]{{0,20}}({_BELOW})"),
    "option": (
        rf"[ \t]{{0,64}}+{_NOTHING}"
        r"(?!(?:is|was|are|and|or|not|must|has|to|for|with|in|on|option|flag|argument"
        r"|requires?|given|missing|needs?|can|cannot|may|should|instead|when|via)\b"
        r"|-|\[?[A-Z_]{2,}(?:[\])\s.,'\"`]|$)|<\w)"
        r"(\"[^\"\n]+\"|'[^'\n]+'|[^\s\"']{3,})()"
    ),
}
"""What follows a name: its value on the same line, or as all of the next line."""


def _without_named(text: str) -> str:
    """Hide the values of names that tell of a secret, e.g. `NAME=x` or `--name x`."""
    places, end = [], 0
    for found in _names_in(text):
        if found.start() < end or not tells_of_secret(name := _name_in(found)):
            continue
        after = "option" if found["option"] else found["sign"].rstrip(">")[-1]
        value = _compiled(_AFTER[after]).match(text, found.end())
        if value is None:
            continue
        (begin, value_end), said = value.span(1 if value[1] else 2), value[1] or ""
        if name.lower() == "pass" and re.fullmatch(r"[A-Za-z]+|[^\"'\\]\S*/\S*", said):
            end = value_end  # the path of a test, which may hold more such names
        elif not _is_told(found, name, after, value):
            places.append((begin, value_end))
            end = value_end
            if after == "=" and (new := _compiled(_CHANGED_TO).match(text, end)) is not None:
                places.append(new.span(1))  # a plan of Terraform
                end = new.end()
    return _without_places(text, places)


def _names_in(text: str) -> Iterator[re.Match[str]]:
    """Yield the names in all lines with a word that may tell of a secret."""
    begin = 0
    for line in text.split("\n"):
        if _WORD.search(line.lower()):
            yield from _NAMED.finditer(text, begin, begin + len(line))
        begin += len(line) + 1


_KEY_OF_WORDS = re.compile(r"[A-Za-z]+[ \t]key(?:[ \t](?:provided|\d{1,2}))?$", re.IGNORECASE)


def _name_in(found: re.Match[str]) -> str:
    """Return the name in front of a value, which may be of several words: `API key 1:`."""
    name, start = found["name"] or found["option"], found.start()
    text = found.string
    if name.lower() == "key" or text[max(0, start - 4) : start].lower() == "key ":
        words = _KEY_OF_WORDS.search(text[max(0, start - 20) : start + len(name)])
        return re.sub(r"\s", "_", words[0]) if words else name
    return name


_VERSION = re.compile(r"[\"'\\]*(?:[\^~=<>]{1,2}v?\d+(?:\.[\w*-]+)*|v?\d+(?:\.\d+)+)[\"'\\]*")
_FILE = re.compile(
    r"\.(?:[cm]?[jt]sx?|vue|svelte|s?css|html?|json|ya?ml|toml|md|lock|py|rb|rs|go|php|java|kt|cs"
    r"|swift|cc?|cpp|h|sh)$"
)
_SENTENCE = (
    r"(?:[A-Z]?[a-z]{1,14}|[A-Z]{1,14})[,.;]?[ \t]+"
    r"(?!\w+(?:=|:(?![ \t]+(?:expected|must)\b)))[\w(`'\"*]"
    r"|[\"'](?i:must|should|is|not|cannot|missing|invalid|required|expected|too|string)[ \t]+[a-z]"
)

_GAP, _SIGN, _QUOTE = r"[ \t]{0,64}", r"[ \t]{0,8}[:=][ \t]{0,8}", r"\\?[\"']?"
_NAME = r"(?P<name>[\w.-]{1,100}+)"
_VALUE_OF = rf"{_QUOTE},?\s{{0,64}}{_QUOTE}value{_QUOTE}{_SIGN}"
_TOLD = rf"(?P<value>{_VALUE})"
_LAYOUTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("env ",), rf"\bENV[ \t]{{1,8}}{_NAME}[ \t]{{1,8}}(?P<value>[^\s=]\S{{2,}})"),
    (("</",), rf"<{_NAME}>(?P<value>[^<>\n]{{3,1000}})(?=</)"),
    (("('", '("', "( "), rf"\({_GAP}['\"]{_NAME}['\"]{_GAP},{_GAP}['\"](?P<value>[^'\"\n]{{3,}})"),
    (("]",), rf"\[['\"]?{_NAME}['\"]?\]{_GAP}=>?(?!=)(?:\s{{0,64}}string\(\d+\) |{_GAP}){_TOLD}"),
    (("value",), rf"\b(?:name|key){_QUOTE}{_SIGN}{_QUOTE}{_NAME}{_VALUE_OF}{_TOLD}"),
    (_WORDS, r"[{ ](?P<name>[A-Z]\w{1,100}):(?P<value>[^\s{}:\"'/*]{6,})(?=[ }])"),
)
"""Layouts in which Docker, XML, PHP, Kubernetes and Go write a name and its value."""


def _laid_out(layout: str) -> Callable[[str], str]:
    """Return what hides the values of names that tell of a secret, in the layout of a program."""

    def hidden(found: re.Match[str]) -> str:
        if not tells_of_secret(found["name"]):
            return found[0]
        return found[0][: found.start("value") - found.start()] + HIDDEN

    return lambda text: _compiled(layout).sub(hidden, text)


_OF_SQL_NEEDLES = ("identified ", "password '", 'password "', "password('", 'password("')
_OF_SQL = (
    r"((?:identified (?:with \S{1,40} )?by|password)[ \t(]{1,8})(?:'[^'\n]{3,}'|\"[^\"\n]{3,}\")"
)
_NETRC = r"(\blogin[ \t]{1,8}\S{1,100}\s{1,8}password[ \t]{1,8})\S{3,}"


def _is_told(found: re.Match[str], name: str, after: str, value: re.Match[str]) -> bool:
    """Return whether a sentence, a version or a count follows a name, not a secret."""
    said = value[1] or ""
    if after == ":" and (_FILE.search(name) or found.string.endswith("/", 0, found.start())):
        return True
    if _VERSION.fullmatch(said) or counts_tokens(name, said):
        return True
    is_sentence = said and _compiled(_SENTENCE).match(value.string, value.start(1))
    return after == ":" and bool(is_sentence)


_SPOKEN = re.compile(
    rf"[ \t](?:is|was)[ \t:]{{1,3}}(?-i:{_NOTHING})(\"[^\"\n]{{3,}}\"|'[^'\n]{{3,}}'"
    r"|(?=[^\s]{0,100}(?:[a-z]\d|\d[a-z]|\w[!@#$%^&*_+=/-]\w))[^\s,;]{5,})",
    re.IGNORECASE,
)
_SPOKEN_OF = re.compile(r"(?:passw(?:or)?d|passphrase|secret|token|api[_ -]?key)$", re.IGNORECASE)


def _without_spoken(text: str) -> str:
    """Hide what a sentence tells: "the password is …"."""

    def hidden(found: re.Match[str]) -> str:
        before = text[max(0, found.start() - 20) : found.start()]
        if not _SPOKEN_OF.search(before.rstrip()):
            return found[0]
        return found[0][: found.start(1) - found.start()] + HIDDEN

    return _SPOKEN.sub(hidden, text)


_DOCKER_AUTH = (
    r"(\\?\"_?auth\\?\"[ \t]*:[ \t]*\\?\"|\b_auth[ \t]*=[ \t]*\"?)[A-Za-z0-9+/=]{8,}+(?![\w.-])"
)

_PIPED = (
    r"(\becho[ \t]{1,8}(?:-n[ \t]{1,8})?[\"']?)(?!\$)[^\s\"'|]{3,}"
    r"(?=[\"']?[ \t]{0,8}\|[^|\n]{0,200}(?:--password-stdin|--with-token|chpasswd))"
)

_PROGRAMS = {
    **dict.fromkeys(
        ("mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump"), r"\s-p(\S{3,})"
    ),
    **dict.fromkeys(
        ("sshpass", "docker login", "podman login", "buildah login", "oc login"),
        r"\s-p[ \t]?(\S{3,})",
    ),
    **dict.fromkeys(("twine", "nuget"), r"\s-p[ \t](\S{3,})"),
    "redis-cli": r"\s-a[ \t]?(\S{3,})",
    "curl": r"\s(?:-[a-zA-Z]{0,8}u|--user)[ \t=]?[\"']?[^\s:\"']{0,100}:([^\s\"']{3,})",
    "wget": r"\s--(?:http-)?password=(\S{3,})",
}
"""Programs that take a password as an argument, and that argument."""

_PROGRAM = re.compile(rf"(?:{'|'.join(sorted(_PROGRAMS, key=len, reverse=True))})(?=\s)")
_NOT_IN_FRONT = re.compile(r"[\w./@:+=-]")
_COMMAND_END = re.compile(r"\n|[ \t](?:&&|\|\|?)[ \t]|;[ \t]")


def _without_arguments(text: str) -> str:
    """Hide passwords that a program got as an argument: behind its name, in the same command."""
    places: set[tuple[int, int]] = set()
    end, searched = 0, set[str]()
    for program in _PROGRAM.finditer(text):
        if not _is_run(text, program.start()):
            continue
        if program.start() >= end:
            command = _COMMAND_END.search(text, program.end())
            end, searched = command.start() if command else len(text), set()
        argument = _PROGRAMS[program[0]]
        if argument not in searched:
            searched.add(argument)
            found = _compiled(argument).finditer(text, program.end(), end)
            places |= {one.span(1) for one in found}
    return _without_places(text, sorted(places))


def _is_run(text: str, at: int) -> bool:
    """Return whether a program's name is a word of its own, or behind the path of a program."""
    return not _NOT_IN_FRONT.match(text[at - 1 : at]) or text.endswith("bin/", 0, at)


def _without_places(text: str, places: Iterable[tuple[int, int]]) -> str:
    kept, end = [], 0
    for begin, next_end in places:
        if begin >= end:
            kept += [text[end:begin], HIDDEN]
            end = next_end
    return "".join([*kept, text[end:]])
