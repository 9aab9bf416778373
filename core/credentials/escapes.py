"""Texts with escapes of URLs and of JSON, `password%3DPASS` and `\\u0026`, in their plain form."""

import bisect
import itertools
import re
from dataclasses import dataclass

# A space stays in what may be a password; after : and , it is JSON's.
_ESCAPE = re.compile(r"(?:%|\\u00)(0[9AaDd]|2[1-9A-Fa-f]|[3-7][0-9A-Fa-f]|(?:(?<=%3[Aa]%)|(?<=%2[Cc]%))20)")


@dataclass(frozen=True)
class Plain:
    """A text whose escapes of ASCII characters are resolved, once."""

    text: str
    _escapes: list[int]  # where in `text` each escape's character is
    _surplus: list[int]  # how many characters the first n escapes have more than their characters

    @classmethod
    def of(cls, text: str) -> "Plain | None":
        """Returns the plain form of a text; None if there is no escape in it."""
        matches = list(_ESCAPE.finditer(text))
        if not matches:
            return None
        surplus = list(itertools.accumulate((len(match[0]) - 1 for match in matches), initial=0))
        escapes = [match.start() - before for match, before in zip(matches, surplus, strict=False)]
        return cls(_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text), escapes, surplus)

    def escaped(self, position: int) -> int:
        """Returns where in the escaped text a position of the plain one is."""
        return position + self._surplus[bisect.bisect_left(self._escapes, position)]
