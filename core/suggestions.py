"""What is like what, and where it differs.

Of a name that does not exist: the known name that it is nearest to, or which names there are. Of two texts: their diff.
"""

import difflib
from collections.abc import Iterable, Sequence

_SHOWN = 20
_QUOTED = 3
_LONGEST = 300  # characters of a name that anybody meant; comparing longer ones takes seconds


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Returns the known name that is most like this one, capitals aside; None where none is near."""
    if len(name) > _LONGEST:
        return None
    by_lower_case: dict[str, str] = {}
    for candidate in known:
        by_lower_case.setdefault(candidate.lower(), candidate)
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=cutoff)
    return by_lower_case[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "expected one of") -> str:
    """Returns "did you mean 'x'?"; where no known name is near, `otherwise` and which there are."""
    names = list(known)
    near = nearest(name, names)
    if near:
        return f"did you mean {near!r}?"
    return f"{otherwise} {listed(names)}" if names else "there is none"


def listed(names: Sequence[str]) -> str:
    """Returns the first twenty names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def quoted(values: Sequence[str]) -> str:
    """Returns the first three values in quotes, and how many more there are."""
    more = f" and {len(values) - _QUOTED:,} more" if len(values) > _QUOTED else ""
    return ", ".join(map(repr, values[:_QUOTED])) + more


def unified_diff(before: str, after: str, before_name: str, after_name: str) -> str:
    """Returns which lines differ between two texts, as `diff -u` writes them; "" where none do."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), before_name, after_name, lineterm="")
    return "\n".join(lines)
