"""How dates are written: a format as a regular expression that Python and RE2, TensorFlow's, both read."""

import re

from penstock.components.errors import ConfigError

_ZONE = r"\s*(?:Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
# Years of four figures, first: 1/2/13 is read differently in each country.
_ISO = rf"\s*(\d{{4}})-(\d{{1,2}})-(\d{{1,2}})(?:[T ](\d{{1,2}}):(\d{{2}})(?::(\d{{2}})(?:[.,]\d+)?)?{_ZONE})?\s*"
_DIRECTIVES = {"Y": r"\d{4}", "m": r"\d{1,2}", "d": r"\d{1,2}", "H": r"\d{1,2}", "M": r"\d{1,2}", "S": r"\d{1,2}"}


def is_iso(text: str) -> bool:
    return re.fullmatch(_ISO, text) is not None


def pattern(form: str) -> tuple[str, dict[str, int]]:
    """Returns what matches a whole date of this format, and the group of each of its parts, Y m d H M S.

    `iso` is 2013-01-31, with a time or without; other formats are strptime's. A ConfigError for what they may not hold.
    """
    if form == "iso":
        return _ISO, {letter: group for group, letter in enumerate(_DIRECTIVES, 1)}
    expression, places = "", dict[str, int]()
    for literal, letter in re.findall(r"([^%]+)|%(.?)", form):
        if letter in _DIRECTIVES and letter not in places:
            places[letter] = len(places) + 1
            expression += f"({_DIRECTIVES[letter]})"
        elif literal or letter == "%":
            expression += re.escape(literal or "%")
        else:
            raise ConfigError(f"format: expected %Y %m %d %H %M %S, once each, received %{letter} in {form!r}")
    if "Y" not in places:
        raise ConfigError(f"format: expected iso, unix, or %Y with others such as %d/%m/%Y, received {form!r}")
    return rf"\s*{expression}\s*", places
