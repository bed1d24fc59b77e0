"""Render views as HTML; whatever is untrusted is escaped here."""

from collections.abc import Callable
from datetime import UTC, datetime

from markupsafe import Markup, escape

from bridge.core.chat.grammar import capital
from bridge.core.lifecycle import State
from bridge.core.log_text import harmless, shorten
from bridge.views.links import Links
from bridge.views.values import (
    SHORT_COMMIT,
    Code,
    Commit,
    Compared,
    Moment,
    Phrase,
    Ref,
    Sentence,
    Strong,
    Text,
    Typed,
    Value,
    plain,
)


def written_with(links: Links) -> Callable[[Phrase], Markup]:
    """Return what writes our own words, with values among them."""

    def write(phrase: Phrase) -> Markup:
        if phrase and isinstance(first := phrase[0], Sentence):
            phrase = (Sentence(capital(first.words), first.limit), *phrase[1:])
        return Markup().join(
            _words(one) if isinstance(one, str) else _value(one, links) for one in phrase
        )

    return write


def _words(one: str) -> Markup:
    return Markup("<br>") if one == "\n" else escape(one)


def _value(one: Value, links: Links) -> Markup:
    match one:
        case Text(words, limit) | Sentence(words, limit):
            return _text(words, limit)
        case Strong(text=Text(words, limit)):
            return Markup("<strong>{}</strong>").format(_text(words, limit))
        case Code(text=Text(words, limit), url=url):
            return _linked(Markup("<code>{}</code>").format(_text(words, limit)), url)
        case Commit(sha=sha, app=app):
            shown = Markup("<code>{}</code>").format(sha[:SHORT_COMMIT])
            return _linked(shown, links.commit(app, sha))
        case Compared(app=app, old=old, new=new, words=words):
            return _linked(escape(words), links.compare(app, old, new))
        case Ref():
            return _text(one.short, 100)
        case State():
            return escape(str(one))
        case Typed(call=call):
            return Markup("<code>{}</code>").format(_text(call.typed, 200))
        case Moment(at=at):
            return _moment(at)
        case _:
            return escape(plain((one,)))


def _text(words: str, limit: int) -> Markup:
    return escape(harmless(shorten(words, limit)))


def _linked(shown: Markup, url: str | None) -> Markup:
    return Markup('<a href="{}">{}</a>').format(url, shown) if url else shown


def _moment(at: float) -> Markup:
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return Markup("never")
    words = moment.strftime("%Y-%m-%d %H:%M UTC")
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), words)
