"""From page to page of an API: what changed is read and kept, what did not is known from the last time."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from penstock.components.example_gen.sources.http import pages, paging
from penstock.components.example_gen.sources.http.options import HttpOptions
from penstock.components.example_gen.sources.http.pages import Page
from penstock.components.example_gen.sources.http.server import ApiServer, Received
from penstock.components.example_gen.sources.spooled.spool import Kept, Spool
from penstock.core import progress
from penstock.core.credentials import masks
from penstock.core.errors import DataError
from penstock.core.services.retries import NotFound

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Visit:
    """A page as it was read: its rows, which are kept unless there are none, and where it leads.

    `etag` and `last_modified` are what the server knows the page's state by, "" for nothing.
    """

    url: str
    rows: int
    kept: Kept | None
    next: str | None
    etag: str = ""
    last_modified: str = ""

    @classmethod
    def of_json(cls, value: Mapping[str, object]) -> "Visit":
        kept = value["kept"]
        return cls(
            str(value["url"]),
            int(str(value["rows"])),
            Kept.of_json(kept) if isinstance(kept, dict) else None,
            None if value["next"] is None else str(value["next"]),
            str(value["etag"]),
            str(value["last_modified"]),
        )

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @property
    def condition(self) -> dict[str, str]:
        """The headers that ask for the page only if it has changed."""
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in asked.items() if value}


@dataclass
class Walk:
    """Reads an API's pages. `before` are the visits of the last time, by address; `alive` is called with each page."""

    server: ApiServer
    options: HttpOptions
    spool: Spool
    scratch: Path
    before: Mapping[str, Visit]
    alive: Callable[[], None]

    def read(self, url: str) -> list[Visit]:
        """Returns the visits of all pages from an address on, in order.

        Raises a DataError for pages that lead back, that repeat, or that do not end.
        """
        rule = self.options.paging
        first = paging.first_url(url, rule)
        found: list[Visit] = []
        seen: set[str] = set()
        rows, address = 0, first
        while True:
            if address in seen:
                raise DataError(f"{masks.masked(address)}: the pages lead back to it: check http.paging")
            seen.add(address)
            if rule and len(found) >= rule.max_pages:
                raise DataError(f"{self.server.host}: more than {rule.max_pages:,} pages: raise http.paging.max_pages")
            try:
                visit = self._visit(address, first, len(found), rows)
            except NotFound:
                if found and rule and rule.by == "page":  # some APIs know no page beyond the last one
                    return found
                raise
            if found and rule and rule.by in ("offset", "page") and visit.kept and _equal(visit, found[-1]):
                raise DataError(
                    f"{masks.masked(address)}: the same rows as on the page before: is {rule.parameter!r} the name of "
                    "the parameter (http.paging.parameter)?"
                )
            found.append(visit)
            rows += visit.rows
            progress.say(f"{len(found):,} pages with {rows:,} rows read")
            self.alive()
            if visit.next is None:
                return found
            address = visit.next

    def _visit(self, address: str, first: str, number: int, rows: int) -> Visit:
        before = self.before.get(address)
        if before and before.kept and not self.spool.has(before.kept.sha256):
            before = None
        body, table = self.scratch / "body", self.scratch / "rows"
        page: list[Page] = []

        def check(received: Received) -> None:
            page[:] = [pages.rows(body, received, self.options, table)]

        received = self.server.get(address, before.condition if before else {}, body, check)
        if received.unchanged:
            assert before is not None
            return before
        if number == 0 and (hint := pages.no_next(page[0], masks.masked(address))):
            logger.warning("%s", hint)
        kept = self.spool.add(table, masks.masked(address)) if page[0].rows else None
        following = paging.next_url(first, self.options.paging, number, rows + page[0].rows, page[0], received)
        etag, modified = received.headers.get("ETag", ""), received.headers.get("Last-Modified", "")
        return Visit(address, page[0].rows, kept, following, etag, modified)


def _equal(visit: Visit, before: Visit) -> bool:
    return bool(visit.kept and before.kept and visit.kept.sha256 == before.kept.sha256)


def fingerprint(visits: list[Visit]) -> str:
    """Returns how much the pages are, and a digest that changes with their rows."""
    digest = hashlib.sha256()
    for visit in visits:
        digest.update((visit.kept.sha256 if visit.kept else "").encode() + b"\n")
    size = sum(visit.kept.size for visit in visits if visit.kept)
    rows = sum(visit.rows for visit in visits)
    return f"num_pages:{len(visits)},num_rows:{rows},total_bytes:{size},sha256:{digest.hexdigest()}"
