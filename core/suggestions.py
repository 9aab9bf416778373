"""The nearest name, for a sentence about one that does not exist."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], most: int = 20) -> str:
    """Returns "did you mean 'x'?", or what is expected where none of the known names is near."""
    names = list(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"expected one of {', '.join(names[:most]) or 'none'}{more}"
