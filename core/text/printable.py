"""Text of others on its way to a person: nothing in it commands a terminal, and nothing is without end.

Names of columns, classes and files, and what libraries and servers say, may hold anything: escape sequences, line ends,
a megabyte. Every PenstockError is made printable as it is made, and what commands print passes `lines`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

LONGEST = 4000  # characters of a sentence
_LONGEST_LINE = 10_000  # more than any path has
_LONGEST_WORD = 500
_LONGEST_VALUE = 80
_LONGEST_NAME = 40
_MOST_LINES = 100
_JOINERS = "\u200c\u200d"  # of letters, in Persian and in emojis
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode's categories: controls, formats, surrogates, line ends
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    """Returns a text on one line, with \\n, \\x1b or \\u202e in place of what would not be seen as itself."""
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def shortened(text: str, longest: int = LONGEST) -> str:
    """Returns a text of at most so many characters: of a longer one the beginning, and the end, which may be advice."""
    if len(text) <= longest:
        return text
    end = longest // 4
    return f"{text[: longest - end - 3]} … {text[-end:]}"


def names(texts: Sequence[str], longest: int = _LONGEST_NAME) -> list[str]:
    """Returns names for axes and legends: printable, of a length that fits, and still all different."""
    shown = [printable(shortened(text, longest)) or "(empty)" for text in texts]
    twice = {name for name, count in Counter(shown).items() if count > 1}
    return [f"{name} #{number}" if name in twice else name for number, name in enumerate(shown, 1)]


def name(text: str, longest: int = _LONGEST_NAME) -> str:
    """Returns one name, as `names` does."""
    return names([text], longest)[0]


def sentence(text: str) -> str:
    """Returns a sentence that is printable and has an end, in whole and in each of its words."""
    words = re.sub(rf"\S{{{_LONGEST_WORD},}}", lambda word: shortened(word[0], _LONGEST_WORD), text)
    return printable(shortened(words))


def value(received: object) -> str:
    """Returns a value as a sentence shows it: `received 'abc…'`."""
    text = repr(received)
    return printable(text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…")


def lines(text: str) -> str:
    """Returns text of several lines, each of them printable and with an end."""
    return "\n".join(printable(shortened(line, _LONGEST_LINE).expandtabs()) for line in text.split("\n"))


def paragraph(text: str) -> str:
    """Returns a `sentence` for each line, a hundred at most: of more, the first and how many others there are."""
    every = text.split("\n")
    if len(every) > _MOST_LINES:
        shown = _MOST_LINES - 1
        every = [*every[:shown], f"and {len(every) - shown:,} more lines"]
    return "\n".join(sentence(line.expandtabs()) for line in every)


def _visible(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if unicodedata.category(character) not in _HIDDEN or character in _JOINERS:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
