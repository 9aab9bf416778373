"""What to say of a name that does not exist: the known name that it is nearest to, or which names there are."""

import difflib
from collections.abc import Iterable

_SHOWN = 20


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Returns the known name that is most like this one, capitals aside; None where none is near."""
    by_lower_case: dict[str, str] = {}
    for candidate in known:
        by_lower_case.setdefault(candidate.lower(), candidate)
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=cutoff)
    return by_lower_case[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "expected one of") -> str:
    """Returns "did you mean 'x'?"; where no known name is near, `otherwise` and the first of them."""
    names = list(known)
    near = nearest(name, names)
    return f"did you mean {near!r}?" if near else f"{otherwise} {listed(names)}"


def listed(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Returns the first names, and how many more there are; "none" for none."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(names[:shown]) or "none") + more
