"""Text as JavaScript sees it: a row of UTF-16 code units.

A character outside the basic plane is two units there, so `?` does not match an
emoji and `??` does. Every other module of this package works on unit strings only.
"""

from array import array

# What String.prototype.trim removes; str.strip() would also take \x1c-\x1f and \x85.
JS_SPACES = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def to_units(text: str) -> str:
    """Give `text` with each character beyond U+FFFF split into its surrogate pair."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    return "".join(map(chr, array("H", text.encode("utf-16-le", "surrogatepass"))))
