"""Charts in pages: Vega-Lite specifications made by Altair, which script.js draws when they come into view."""

import json
import math
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from altair import TopLevelMixin

COLOURS = 8  # of categories, in style.css and script.js
CHART = "chart"  # the class that script.js looks for
_DIGITS = 7  # of a number: more is not seen, and twice as long
_HEIGHT = 180  # pixels, unless the chart says


def chart(chart: "TopLevelMixin | dict[str, Any]", caption: str = "") -> str:
    """Returns a figure with an Altair chart, or with the specification that Altair has made of one.

    A chart of one view is as wide as its place, unless it has a width. Colours are the stylesheet's: those that are not
    said, and `var(--plot)`, `var(--good)`, `var(--bad)`, `var(--muted)` and `var(--plot-1)` to `var(--plot-8)`, which
    are others in the dark. A colour in between cannot be made of them: show amounts as opacity.
    """
    spec = dict(chart) if isinstance(chart, dict) else specification(chart)
    if "mark" in spec or "layer" in spec:
        spec = {"width": "container", "height": _HEIGHT, "autosize": {"type": "fit", "contains": "padding"}} | spec
    height = spec.get("height", _HEIGHT)
    place = f' style="min-height:{height}px"' if isinstance(height, int | float) else ""
    text = json.dumps(_compact(spec), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure class="{CHART}"><div{place}></div><script type="application/json">{text}</script>'
        f"<noscript>This chart is drawn by a script, which is not allowed here.</noscript>{below}</figure>"
    )


def specification(chart: "TopLevelMixin") -> dict[str, Any]:
    """Returns the Vega-Lite specification of an Altair chart; what looks like the page is left to the page."""
    import altair

    with altair.theme.enable("none"):
        spec = chart.to_dict(validate=False)
    spec.pop("$schema", None)
    return dict(spec)


def _compact(value: Any) -> Any:
    """Returns a specification with short numbers; what is not finite is null, as JSON knows no other."""
    match value:
        case dict():
            return {key: _compact(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_compact(inner) for inner in value]
        case float():
            if not math.isfinite(value):
                return None
            return int(value) if value.is_integer() and abs(value) < 2**53 else float(f"{value:.{_DIGITS}g}")
        case _:
            return value
