"""Pages of ours as parts of a larger one: a run's report is made of what its components have written."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Part = Literal["evaluation", "serving", "training", "data", "anomalies", "search"]

_MARK = '<meta name="penstock-part" content="'
_MARKED = re.compile(f'{_MARK}([a-z]+)">')
_HEAD = 4096  # characters in which the mark stands
_HEADING = re.compile(r"(</?h)([1-5])\b")
_PLACE = re.compile(r'(<[^<>]*? (?:id="|href="#))')


@dataclass(frozen=True)
class Written:
    """A page that a component has written, as a part of a larger page."""

    part: Part
    body: str


def marked(part: Part) -> str:
    """Returns what says in a page's head that it is a part of a run's report."""
    return f'{_MARK}{part}">'


def read(text: str, name: str) -> Written | None:
    """Returns a page of ours as a part: its headings one level lower, its anchors with `name` before them.

    None for a page that is not ours.
    """
    mark = _MARKED.search(text, 0, _HEAD)
    _, begin, rest = text.partition("<main>\n")
    body, end, _ = rest.rpartition("\n</main>")
    if not mark or not begin or not end:
        return None
    for part in get_args(Part):
        if part == mark[1]:
            lower = _HEADING.sub(lambda heading: f"{heading[1]}{int(heading[2]) + 1}", body)
            return Written(part, _PLACE.sub(lambda place: f"{place[1]}{name}-", lower))
    return None
