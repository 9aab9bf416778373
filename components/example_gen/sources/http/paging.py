"""How a page leads to the next one."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from penstock.components.example_gen.sources.http.options import Paging
from penstock.components.example_gen.sources.http.pages import Page
from penstock.components.example_gen.sources.http.server import Received, origin_of
from penstock.core.credentials import masks
from penstock.core.errors import DataError

_LONGEST_CURSOR = 4096  # characters


def first_url(url: str, paging: Paging | None) -> str:
    """Returns the address of the first page."""
    if paging is None:
        return url
    asked = {paging.size_parameter: str(paging.size)} if paging.size else {}
    if paging.by in ("offset", "page"):
        asked[paging.parameter] = str(paging.first)
    return with_parameters(url, asked) if asked else url


def next_url(first: str, paging: Paging | None, number: int, rows: int, page: Page, received: Received) -> str | None:
    """Returns the address of the page after the one of that number, counted from 0; None if it was the last.

    `rows` is how many the pages so far have. By offset and by number it was the last one if it is empty. Raises a
    DataError for a next page that is no address, and for a cursor that is no text or number.
    """
    if paging is None:
        return None
    if paging.by in ("offset", "page"):
        if not page.rows:
            return None
        at = paging.first + (rows if paging.by == "offset" else number + 1)
        return with_parameters(first, {paging.parameter: str(at)})
    if paging.by == "link":
        return _address(_link(received.headers), received.url)
    if page.next in (None, "", False):
        return None
    if isinstance(page.next, bool) or not isinstance(page.next, str | int) or len(str(page.next)) > _LONGEST_CURSOR:
        raise DataError(
            f"{masks.masked(received.url)}: paging.at: expected a text or a number at {'.'.join(paging.at)!r}, found "
            f"{type(page.next).__name__}"
        )
    if paging.by == "next_url":
        return _address(str(page.next), received.url)
    return with_parameters(first, {paging.parameter: str(page.next)})


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """Returns an address with these parameters in its query, in place of those of the same names."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in parameters]
    return urlunsplit(parts._replace(query=urlencode([*query, *parameters.items()])))


def _link(headers: Mapping[str, str]) -> str:
    """Returns the address of the header Link that is the next page's (RFC 8288), "" without one."""
    from requests.utils import parse_header_links

    for link in parse_header_links(headers.get("Link", "")):
        if "next" in str(link.get("rel", "")).lower().split():
            return str(link.get("url", ""))
    return ""


def _address(value: str, base: str) -> str | None:
    if not value:
        return None
    address = urljoin(base, value)
    origin_of(address)
    return address
