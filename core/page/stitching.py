"""Pages of ours as parts of a larger one: a run's report is made of what its components have written."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Part = Literal["evaluation", "serving", "training", "data", "cleaning", "anomalies", "search", "monitoring"]

_HEAD = 4096  # characters in which a page says that it is a part
_MARKED = re.compile('<meta name="penstock-part" content="([a-z]+)">')
_NEXT = re.compile("<!--part ([a-z]+)-->\n")
_HEADING = re.compile(r"(</?h)([1-5])\b")
_PLACE = re.compile(r'(<[^<>]*? (?:id="|href="#))')


@dataclass(frozen=True)
class Written:
    """What a component has written, as a part of a larger page."""

    part: Part
    body: str


def marked(part: Part) -> str:
    """Returns what says in a page's head which part of a run's report it is."""
    return f'<meta name="penstock-part" content="{part}">'


def next_part(part: Part) -> str:
    """Returns what says in a page's body that another part of a run's report begins."""
    return f"<!--part {part}-->\n"


def read(text: str, name: str) -> list[Written]:
    """Returns the parts of a page of ours: headings one level lower, anchors with `name` before them.

    Nothing for a page that is none of ours.
    """
    mark = _MARKED.search(text, 0, _HEAD)
    begin, end = text.find("<main>\n"), text.rfind("\n</main>")
    if not mark or begin < 0 or end < begin:
        return []
    lower = _HEADING.sub(lambda heading: f"{heading[1]}{int(heading[2]) + 1}", text[begin + len("<main>\n") : end])
    whole = _PLACE.sub(lambda place: f"{place[1]}{name}-", lower)
    first, *rest = _NEXT.split(whole)
    bodies = [(mark[1], first), *zip(rest[::2], rest[1::2], strict=True)]
    return [Written(part, body) for name, body in bodies for part in get_args(Part) if part == name]
