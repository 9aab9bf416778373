"""The pages that a run's tasks have written: ours are parts of the run's page, those of others stand in frames."""

import html
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args
from urllib.parse import quote

from penstock.core.page import stitching
from penstock.pipelines.local.records.record import Artifact, RunRecord

_ANOMALIES = "anomalies"  # as the ExampleValidator counts them
# How a page that a task has written begins: KFP gives artifacts no file ending, so a browser shows a link's text.
_PAGE = b"<!doctype html"
# No script of such a page runs; ours makes its frame as high as it is, also unfolded, or in a window of another width.
_FRAME = (
    'sandbox="allow-same-origin" onload="new ResizeObserver(() => { const high = contentDocument.body.scrollHeight; '
    'if (high) style.height = `${high + 2}px` }).observe(contentDocument.body)"'
)
_TITLES: dict[stitching.Part, str] = {
    "evaluation": "Evaluation",
    "serving": "Model server",
    "training": "Training",
    "data": "Data",
    "cleaning": "Cleaning",
    "anomalies": "Anomalies",
    "search": "Search",
    "monitoring": "Monitoring",
}


@dataclass(frozen=True)
class Section:
    """A section of the run's page: its anchor, what the list of sections calls it, and its HTML."""

    anchor: str
    title: str
    body: str


def sections(run: RunRecord) -> list[Section]:
    """Returns what the tasks' pages show: our parts in the order in which they are read, then the pages of others."""
    ours: list[tuple[Artifact, stitching.Written]] = []
    firsts: dict[str, stitching.Written] = {}  # the part of a page that is at its anchor
    others: list[str] = []
    for artifact in run.artifacts():
        if is_page(artifact.path):
            content = artifact.path.read_text(encoding="utf-8", errors="replace")
            parts = stitching.read(content, anchor(artifact))
            ours += ((artifact, part) for part in parts)
            if parts:
                firsts[anchor(artifact)] = parts[0]
            else:
                others.append(_framed(artifact, content))
    shown = [
        Section(f"part-{part}", _TITLES[part], _part(artifact, written, firsts, several=_alike(of_part) > 1))
        for part in get_args(stitching.Part)
        for of_part in [[pair for pair in ours if pair[1].part == part]]
        for artifact, written in of_part
    ]
    more = [Section("pages", "Pages", "<h2>Pages</h2>" + "".join(reversed(others)))] if others else []
    return [*_anchored(shown), *more]


def is_page(path: Path) -> bool:
    """Whether an artifact is an HTML page, by its first bytes: KFP gives its file no suffix."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(_PAGE)).lower() == _PAGE


def anchor(artifact: Artifact) -> str:
    """Returns the name of the place in the run's page where a task's page is shown."""
    return quote(f"page-{artifact.task.name}-{artifact.name}".replace("/", "-"))


def _alike(parts: list[tuple[Artifact, stitching.Written]]) -> int:
    """Returns how many pages of one component are the same part of the page, as in a loop."""
    components = Counter(artifact.task.key.component if artifact.task.key else "" for artifact, _ in parts)
    return max(components.values(), default=0)


def _anchored(sections: list[Section]) -> Iterator[Section]:
    """Numbers the anchors that several sections share."""
    seen: dict[str, int] = {}
    for section in sections:
        count = seen[section.anchor] = seen.get(section.anchor, 0) + 1
        yield Section(section.anchor if count == 1 else f"{section.anchor}-{count}", section.title, section.body)


def _part(
    artifact: Artifact, written: stitching.Written, firsts: Mapping[str, stitching.Written], several: bool
) -> str:
    """Returns a part as a section, with its task's name if there are several such; good news is folded."""
    body, name = written.body, anchor(artifact)
    of = f'<p class="muted">{html.escape(artifact.task.name)}</p>' if several else ""
    if artifact.task.counts.get(_ANOMALIES) == 0:
        body = f"<details><summary>No {_ANOMALIES}</summary>{body}</details>"
    place = f' id="{name}"' if firsts[name] is written else ""
    return f"<section{place}>{of}{body}</section>"


def _framed(artifact: Artifact, content: str) -> str:
    frame = f'<iframe srcdoc="{html.escape(content)}" {_FRAME}></iframe>'
    title = f"{html.escape(artifact.task.name)}: {html.escape(artifact.name)}"
    return f'<details open><summary id="{anchor(artifact)}">{title}</summary>{frame}</details>'
