r"""Whether a regular expression is one of RE2's, which Arrow matches texts by. Standard library only.

RE2 takes less than Python (no lookaround, no backreferences), and more (`\pL`, `[[:alpha:]]`, `\z`). What is read here
is its syntax where it is as near to Perl's as it comes (https://github.com/google/re2/wiki/Syntax, re2/parse.cc). Left
to RE2 itself are the names of scripts, such as `\p{Greek}`, and how large an expression may become.
"""

import re
import unicodedata
from dataclasses import dataclass, field

_MOST_REPEATS = 1000
_HEX = "0123456789abcdefABCDEF"
_OCTAL = "01234567"
_FLAGS = "imsU"
_ESCAPES = "afnrtv"  # letters that stand for a control character
_CLASSES = "dswDSW"
_NO_CHARACTERS = _CLASSES + "bBAzC"  # escapes of something else
_POSIX = re.compile(r"alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit")
_CATEGORY = re.compile(r"Any|C[cfos]?|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?")
_SCRIPT = re.compile(r"Yi|[A-Z][A-Za-z]{2,}(_[A-Z][A-Za-z]+)*")
_REPETITION = re.compile(r"\{(0|[1-9]\d{0,8})(?:(,)(0|[1-9]\d{0,8})?)?\}", re.ASCII)
_IN_NAMES = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Mn", "Mc", "Nd", "Pc"))
# What Python and Perl have: the beginning of it, and what a person may do without it.
_GROUPS = {
    "(?=": "RE2 has no lookaround",
    "(?!": "RE2 has no lookaround",
    "(?<=": "RE2 has no lookaround",
    "(?<!": "RE2 has no lookaround",
    "(?P=": "RE2 has no backreferences",
    "(?P>": "RE2 has no recursion",
    "(?>": "RE2 has no atomic groups; (?: is one that remembers nothing",
    "(?(": "RE2 has no conditions",
    "(?#": "RE2 has no comments",
    "(?|": "RE2 numbers no groups anew",
}
_LETTERS = {
    "Z": r"the end of the text is \z",
    "u": r"a character by its number is \x{20AC}",
    "U": r"a character by its number is \x{1F600}",
    "N": r"a character by its number is \x{20AC}",
    "e": r"this character is \x1b",
    "h": r"a space or tab is [ \t]",
    "R": r"the end of a line is \r?\n",
}


class PatternError(ValueError):
    """What in an expression RE2 does not take, in words."""


def check(regex: str) -> None:
    """Raises a PatternError for what RE2 refuses."""
    _Reader(regex).read()


@dataclass
class _Group:
    """What is known of a group that is open.

    Args:
        opened: Where it begins.
        last: How often what was read last may be there, by the repetitions in it; 0 if there is nothing to repeat.
        most: The most of all parts so far.
    """

    opened: int
    last: int = 0
    most: int = 1

    def add(self, times: int = 1) -> None:
        self.last = times
        self.most = max(self.most, times)


@dataclass
class _Reader:
    text: str
    at: int = 0
    groups: list[_Group] = field(default_factory=lambda: [_Group(-1)])

    def read(self) -> None:
        repeated = ""  # the repetition that was read just now
        while self.at < len(self.text):
            start = self.at
            repetition = self._repetition(repeated)
            if not repetition:
                self._part()
            repeated = self.text[start : self.at] if repetition else ""
        if len(self.groups) > 1:
            raise self._error(self.groups[-1].opened, "its parenthesis is never closed", 1)

    def _part(self) -> None:
        """Reads what is no repetition."""
        match self.text[self.at]:
            case "(":
                self._open()
            case ")":
                self._close()
            case "|":
                self.groups[-1].last = 0
                self.at += 1
            case "[":
                self._set()
                self.groups[-1].add()
            case "\\":
                self._escape()
            case _:
                self.at += 1
                self.groups[-1].add()

    def _repetition(self, repeated: str) -> bool:
        """Reads a repetition, if there is one."""
        start, sign = self.at, self.text[self.at]
        counted = _REPETITION.match(self.text, self.at) if sign == "{" else None
        if sign not in "*+?" and not counted:
            return False
        self.at = counted.end() if counted else start + 1
        if self.text[self.at : self.at + 1] == "?":
            self.at += 1
        if repeated:
            raise self._error(start - len(repeated), "expected one repetition, in RE2 none follows another")
        if counted:
            self._count(start, int(counted[1]), counted[3] if counted[2] else counted[1])
        elif not self.groups[-1].last:
            raise self._error(start, "there is nothing to repeat")
        return True

    def _count(self, start: int, least: int, most: str | None) -> None:
        """Checks how often a part is repeated, and the parts in it are then."""
        greatest = least if most is None else int(most)
        if greatest < least or greatest > _MOST_REPEATS:
            raise self._error(start, f"expected at most {_MOST_REPEATS:,} repetitions, the lower number first")
        group = self.groups[-1]
        if not group.last:
            raise self._error(start, "there is nothing to repeat")
        times = group.last * max(greatest, 1)
        if greatest >= 2 and times > _MOST_REPEATS:
            raise self._error(start, f"expected at most {_MOST_REPEATS:,} repetitions, also of those in others")
        group.add(times)

    def _open(self) -> None:
        start = self.at
        if not self.text.startswith("(?", start):
            self.at += 1
        elif named := re.compile(r"\(\?P?<([^>]*)>").match(self.text, start):
            self.at = named.end()
            self._named(start, named[1])
        else:
            flags = re.compile(rf"\(\?[{_FLAGS}]*(-[{_FLAGS}]+)?([:)])").match(self.text, start)
            if not flags:
                raise self._error(start, *_no_group(self.text[start:]))
            self.at = flags.end()
            if flags[2] == ")":  # flags for the rest of this group
                return
        self.groups.append(_Group(start))

    def _named(self, start: int, name: str) -> None:
        if (sign := self.text[start : start + 4]) in _GROUPS:
            raise self._error(start, _GROUPS[sign], len(sign))
        if not name or not all(unicodedata.category(character) in _IN_NAMES for character in name):
            raise self._error(start, "expected letters, digits and underscores as the group's name")

    def _close(self) -> None:
        if len(self.groups) == 1:
            raise self._error(self.at, "this parenthesis closes none")
        closed = self.groups.pop()
        self.groups[-1].add(closed.most)
        self.at += 1

    def _escape(self) -> None:
        letter = self.text[self.at + 1 : self.at + 2]
        if letter == "Q":
            end = self.text.find(r"\E", self.at + 2)
            if end < 0:
                raise self._error(self.at, r"expected \E, where the literal text ends", 2)
            if end > self.at + 2:
                self.groups[-1].add()
            self.at = end + 2
            return
        if letter and letter in _NO_CHARACTERS:
            self.at += 2
        elif letter and letter in "pP":
            self._property()
        else:
            self._character()
        self.groups[-1].add()

    def _property(self) -> None:
        r"""Reads a class of Unicode such as `\pL` and `\p{^Greek}`."""
        start = self.at
        found = re.compile(r"\\[pP](?:\{(?P<name>[^}]*)\}|(?P<letter>[^{]))", re.DOTALL).match(self.text, start)
        name = (found["name"] if found["name"] is not None else found["letter"]).removeprefix("^") if found else ""
        if not found or not (_CATEGORY.fullmatch(name) or _SCRIPT.fullmatch(name)):
            raise self._error(start, r"expected a class of Unicode such as \pL, \p{Lu} or \p{Greek}", 5)
        self.at = found.end()

    def _character(self) -> None:
        """Reads an escape of one character."""
        start = self.at
        rest = self.text[start + 1 :]
        if not rest:
            raise self._error(start, "a character is expected after the backslash")
        letter = rest[0]
        length = 1
        if letter in "1234567" and rest[1:2] not in tuple(_OCTAL):
            raise self._error(start, "RE2 has no backreferences", 2)
        if letter in _OCTAL:
            length = re.compile(r"[0-7]{1,3}").match(rest).end()  # type: ignore[union-attr]
        elif letter == "x":
            found = re.compile(rf"x(?:\{{([{_HEX}]+)\}}|([{_HEX}]{{2}}))").match(rest)
            if not found or int(found[1] or found[2], 16) > 0x10FFFF:
                raise self._error(start, r"expected a character by its number, such as \x41 or \x{20AC}", 3)
            length = found.end()
        elif letter not in _ESCAPES and (letter.isalnum() or not letter.isascii()):
            known = "it stands for no character" if letter in _NO_CHARACTERS else "RE2 has no such escape"
            raise self._error(start, _LETTERS.get(letter, known), 2)
        self.at = start + 1 + length

    def _set(self) -> None:
        """Reads a class such as `[a-z\\d]`."""
        start = self.at
        self.at += 2 if self.text.startswith("[^", start) else 1
        first = True
        while first or self.text[self.at : self.at + 1] != "]":
            if self.at >= len(self.text):
                raise self._error(start, "its bracket is never closed", 1)
            first = False
            if not self._named_set():
                self._range(start)
        self.at += 1

    def _named_set(self) -> bool:
        """Reads a class with a name in a class, if there is one."""
        letter = self.text[self.at + 1 : self.at + 2]
        if self.text.startswith("[:", self.at):
            end = self.text.find(":]", self.at + 2)
            if end < 0:
                return False
            name = self.text[self.at + 2 : end].removeprefix("^")
            if not _POSIX.fullmatch(name):
                known = ", ".join(_POSIX.pattern.split("|"))
                raise self._error(self.at, f"expected one of {known}", end + 2 - self.at)
            self.at = end + 2
        elif not self.text.startswith("\\", self.at) or not letter or letter not in _CLASSES + "pP":
            return False
        elif letter in "pP":
            self._property()
        else:
            self.at += 2
        return True

    def _range(self, bracket: int) -> None:
        """Reads a character, or a range of them."""
        start = self.at
        low = high = self._one(bracket)
        if self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] not in ("", "]"):
            self.at += 1
            high = self._one(bracket)
        if high < low:
            raise self._error(start, "expected the lower character of a range first", self.at - start)

    def _one(self, bracket: int) -> int:
        """Reads a character of a class, and returns its number."""
        if self.at >= len(self.text):
            raise self._error(bracket, "its bracket is never closed", 1)
        start = self.at
        if self.text[start] != "\\":
            self.at += 1
            return ord(self.text[start])
        self._character()
        return _number(self.text[start + 1 : self.at])

    def _error(self, start: int, why: str, length: int = 0) -> PatternError:
        shown = self.text[start : start + length if length else max(self.at, start + 1)]
        return PatternError(f"{shown} at character {start + 1}: {why}")


def _no_group(rest: str) -> tuple[str, int]:
    """Says why a group that begins with (? is none, and how many characters of it say so."""
    known = next(((why, len(sign)) for sign, why in _GROUPS.items() if rest.startswith(sign)), None)
    return known or (f"expected (?: or (?P<name>, or flags, of which RE2 has {', '.join(_FLAGS)}", 4)


def _number(escaped: str) -> int:
    """Returns the number of the character that is written so after a backslash."""
    if escaped[0] in _OCTAL:
        return int(escaped, 8)
    if escaped[0] == "x":
        return int(escaped[1:].strip("{}"), 16)
    return dict(zip(_ESCAPES, (7, 12, 10, 13, 9, 11), strict=True)).get(escaped, ord(escaped[0]))
