"""Text in the run's page: no HTML of others, and no credentials."""

import html
from typing import Any

from penstock.core.credentials import masks


def text(value: Any) -> str:
    """Returns a value as text for HTML, with masks in place of credentials."""
    return html.escape(masks.masked(str(value)))
