"""A page that shows itself in a notebook."""

import html
import webbrowser
from dataclasses import dataclass
from pathlib import Path

_HEIGHT = "80vh"


@dataclass(frozen=True)
class Report:
    """A page of a run: a notebook shows it where it is the last value of a cell; `path` is its file."""

    path: Path

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that its style and the notebook's do not meet."""
        content = html.escape(self.path.read_text(encoding="utf-8"))
        return (
            f'<iframe srcdoc="{content}" sandbox="allow-scripts allow-popups" '
            f'style="width: 100%; height: {_HEIGHT}; border: 0"></iframe>'
        )

    def open(self) -> None:
        """Opens the page in this machine's browser."""
        webbrowser.open(self.path.resolve().as_uri())
