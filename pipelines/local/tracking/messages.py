"""What is said of tracking, on standard error."""

import sys

from penstock.core.credentials import masks
from penstock.core.text import printable

_LONGEST = 400  # characters of what a library says


def warn(sentence: str) -> None:
    """Says that something could not be tracked."""
    note(f"warning: {sentence}")


def note(sentence: str) -> None:
    """Says something that warns of nothing; credentials in it are masked."""
    print(printable.sentence(masks.masked(sentence)), file=sys.stderr)


def not_installed(variable: str, extra: str) -> str:
    """Returns the sentence of a variable that asks for a library that is not there."""
    return f"{variable} is set, but its library is not installed: pip install 'penstock[{extra}]'"


def reason(error: BaseException | str) -> str:
    """Returns why a server was not told, in one short line."""
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return printable.shortened(" ".join(text.split()), _LONGEST)
