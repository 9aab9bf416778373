"""A page of an API for each split, the newest day's where there are days."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.components.example_gen import configs
from penstock.components.example_gen.configs import SpanRange
from penstock.components.example_gen.sampling import beginnings
from penstock.components.example_gen.sampling.look import Look
from penstock.components.example_gen.sources.http import pages, paging
from penstock.components.example_gen.sources.http.options import HttpOptions
from penstock.components.example_gen.sources.http.pages import Page
from penstock.components.example_gen.sources.http.server import ApiServer, Received
from penstock.components.example_gen.sources.http.source import HttpSource, addresses_of
from penstock.components.example_gen.sources.source import Opened
from penstock.components.example_gen.sources.spooled.opening import Fetched
from penstock.core.credentials import masks
from penstock.core.errors import DataError

_MOST = 8 << 20  # bytes of an answer whose lines are rows


class _Beginnings(ApiServer):
    """Takes whole rows of the beginning of an answer, where these are lines; of JSON all."""

    def _write(self, chunks: Iterable[bytes], path: Path, url: str) -> None:
        if self._options.format == "json":
            super()._write(chunks, path, url)
            return
        content = bytearray()
        for chunk in chunks:
            content += chunk
            if len(content) > _MOST:
                csv = self._options.csv if self._options.format == "csv" else None
                del content[beginnings.end(content.decode("latin-1"), csv) :]
                break
        path.write_bytes(content)


@contextlib.contextmanager
def opened(look: Look) -> Iterator[Opened[Any]]:
    """Asks for a page as a run does, and keeps nothing of it. Raises a DataError for one without rows."""
    options = HttpOptions.of(look.asked.options)
    configs.check_distinct_inputs(tuple(look.asked.splits))
    spans = look.asked.spans
    addresses, _ = addresses_of(options, replace(look.asked, spans=spans and SpanRange(last=spans.last)))
    server = _Beginnings(options)
    files: dict[str, list[Fetched]] = {}
    for number, (split, urls) in enumerate(addresses.items()):
        url = paging.first_url(urls[-1], options.paging)
        rows = look.scratch / f"rows-{number}"
        page = _page(server, url, options, look.scratch / "body", rows)
        where = masks.masked(url)
        if not page.rows:
            raise DataError(f"split {split!r}: {where}: no row: expected at least one")
        if hint := pages.no_next(page, where):
            look.notes.append(hint)
        files[split] = [Fetched(rows, where)]
    with HttpSource.rows_of(files, options, look.request(look.asked.splits)) as found:
        yield found


def _page(server: ApiServer, url: str, options: HttpOptions, body: Path, rows: Path) -> Page:
    page: list[Page] = []

    def check(received: Received) -> None:
        page[:] = [pages.rows(body, received, options, rows)]

    server.get(url, {}, body, check)
    return page[0]
