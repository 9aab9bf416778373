"""An HTTP API as a source: its pages are read once, when it is resolved, and kept; rows are read from what is kept.

So a rerun, a retry and each worker read the same rows, whatever the API says by then.
"""

import contextlib
import datetime
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urljoin

from pydantic import TypeAdapter

from penstock.components.example_gen import configs
from penstock.components.example_gen.configs import InputSplit, SpanRange
from penstock.components.example_gen.inputs import span_macros
from penstock.components.example_gen.sources.http import walk
from penstock.components.example_gen.sources.http.options import HttpOptions
from penstock.components.example_gen.sources.http.server import ApiServer
from penstock.components.example_gen.sources.http.walk import Visit, Walk
from penstock.components.example_gen.sources.source import Asked, Opened, Request, Resolved
from penstock.components.example_gen.sources.spooled import folder, opening, spool
from penstock.components.example_gen.sources.spooled.opening import Fetched
from penstock.components.example_gen.sources.spooled.row_files import RowFiles
from penstock.components.example_gen.sources.spooled.spool import Snapshot, Spool
from penstock.core import span_numbers
from penstock.core.arguments import parse_object
from penstock.core.artifacts.state import StateFiles
from penstock.core.credentials import masks
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import object_stores
from penstock.core.state import open_folder
from penstock.core.state.folder import Folder, Kind

_VISITS = "visits.json"
_SIGN_OF_LIFE = 60.0  # seconds: another run takes over where this one says nothing for longer
_DATE = re.compile(r"\{(YYYY|MM|DD)\}")
_MOST_SPANS = 1000


class Readings(TypedDict):
    """The digests of the snapshots that are kept, the newest last."""

    snapshots: list[str]


_KIND: Kind[Readings] = Kind(
    lambda: TypeAdapter(Readings), lambda: Readings(snapshots=[]), StateFiles, "an API's pages", "they are read anew"
)


@dataclass(frozen=True)
class HttpSource(RowFiles):
    """Reads an API. A split's pattern is an address relative to http.url, such as ?year=2025; once it is resolved, the
    URI of the snapshot that was made of it.
    """

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Reads what has changed of the API. With dates in the address, a span is a day, the newest one yesterday.

        Raises a ConfigError for what does not fit, a DataError for answers that are no rows and where there is none,
        what Transport raises for an API that does not answer.
        """
        options = HttpOptions.of(asked.options)
        configs.check_distinct_inputs(asked.splits)
        if not asked.state:
            raise ConfigError("state: expected a folder that lasts from run to run, where the API's pages are kept")
        addresses, days = addresses_of(options, asked)
        place = object_stores.join(asked.state, f"http-{_key(options)}")
        state = open_folder(place, _KIND)
        with state.held(), folder.opened(place) as root, tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
            reading = _Reading(options, Spool(root, place), Path(scratch), state)
            found = {name: reading.read(urls) for name, urls in addresses.items()}
            splits = [InputSplit(name, reading.keep(name, visits)) for name, visits in found.items()]
            reading.end(len(splits))
        fingerprint = "\n".join(f"split:{name},{walk.fingerprint(visits)}" for name, visits in found.items())
        return Resolved(
            splits, fingerprint, days[-1] if days else 0, 0, span_numbers.listed(days, True) if days else ""
        )

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[Any]]:
        """Gives the rows that were kept; nothing is asked of the API."""
        options = HttpOptions.of(parse_object("http", request.options))
        files: dict[str, list[Fetched]] = {}
        origin = {"url": masks.masked(options.url)}
        for split in request.splits:
            snapshot, copies = spool.read(split.pattern, request.scratch / "pages" / split.name)
            files.setdefault(split.name, []).extend(_copies(snapshot, copies))
            origin[f"{split.name}.snapshot"] = snapshot.digest
        origin["pages"] = str(sum(map(len, files.values())))
        with cls.rows_of(files, options, request) as opened:
            yield replace(opened, extent={"pages": opened.extent["files"]}, origin=origin)

    @classmethod
    def rows_of(
        cls, files: Mapping[str, Sequence[Fetched]], options: HttpOptions, request: Request
    ) -> AbstractContextManager[Opened[Any]]:
        """Gives the rows of pages, as `pages.rows` writes them."""
        source = None if options.format == "csv" else cls(columns=options.columns)
        table = {key: value for key, value in options.csv.items() if key != "encoding"}  # what is kept is in UTF-8
        return opening.opened(files, source or "csv", request, table)


@dataclass
class _Reading:
    """One reading of an API, of all its splits."""

    options: HttpOptions
    spool: Spool
    scratch: Path
    state: Folder[Readings]

    def __post_init__(self) -> None:
        self.visits: dict[str, Visit] = {}
        self.snapshots = list(self.state.read()["snapshots"])
        content = self.spool.folder.read(_VISITS)
        before = {url: Visit.of_json(value) for url, value in json.loads(content or b"{}").items()}
        self._alive = time.monotonic()
        self._walk = Walk(ApiServer(self.options), self.options, self.spool, self.scratch, before, self._tell)

    def read(self, urls: Sequence[str]) -> list[Visit]:
        visits = [visit for url in urls for visit in self._walk.read(url)]
        self.visits |= {visit.url: visit for visit in visits}
        return visits

    def keep(self, split: str, visits: Sequence[Visit]) -> str:
        """Returns the URI of a snapshot of these pages."""
        files = tuple(visit.kept for visit in visits if visit.kept)
        if not files:
            where = "" if split == configs.DEFAULT_INPUT[0].name else f"split {split!r}: "
            raise DataError(f"{where}{masks.masked(self.options.url)}: no row: expected at least one")
        snapshot = Snapshot(files, {"url": masks.masked(self.options.url)})
        uri = self.spool.add_snapshot(snapshot)
        self.snapshots = [digest for digest in self.snapshots if digest != snapshot.digest] + [snapshot.digest]
        return uri

    def end(self, splits: int) -> None:
        """Writes down what was read, and removes what is older than the options keep."""
        self.snapshots = self.snapshots[-self.options.keep * splits :]
        self.state.write(Readings(snapshots=self.snapshots))
        known = {url: visit.as_json() for url, visit in self.visits.items()}
        self.spool.folder.write(_VISITS, json.dumps(known, sort_keys=True).encode())
        self.spool.remove_all_but(self.snapshots)

    def _tell(self) -> None:
        if time.monotonic() - self._alive > _SIGN_OF_LIFE:
            self.state.write(self.state.read())
            self._alive = time.monotonic()


def _copies(snapshot: Snapshot, copies: Mapping[str, Path]) -> Iterator[Fetched]:
    """Yields the files of a snapshot; one that is there twice is copied, since each is read by its own name."""
    used: set[str] = set()
    for number, file in enumerate(snapshot.files):
        path = copies[file.sha256]
        if file.sha256 in used:
            path = path.with_name(f"{file.sha256}-{number}")
            path.hardlink_to(copies[file.sha256])
        used.add(file.sha256)
        yield Fetched(path, file.name)


def _key(options: HttpOptions) -> str:
    """Returns a name for what is read, whoever signs in."""
    what = [options.url, options.format, options.records, repr(options.paging)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def addresses_of(options: HttpOptions, asked: Asked) -> tuple[dict[str, list[str]], list[int]]:
    """Returns the first page's address for each split and day, and the days; none where no address has dates."""
    of_splits = {split.name: _address(options.url, split) for split in asked.splits}
    days = _days(list(of_splits.values()), asked.spans)
    return {name: _urls(url, days) for name, url in of_splits.items()}, days


def _address(url: str, split: InputSplit) -> str:
    """Returns the address of a split's first page."""
    return url if split.pattern == configs.DEFAULT_INPUT[0].pattern else urljoin(url, split.pattern)


def _urls(url: str, days: Sequence[int]) -> list[str]:
    """Returns the address of the first page of each day; one where it has no dates."""
    return list(dict.fromkeys(_dated(url, day) for day in days)) or [url]


def _days(urls: Sequence[str], spans: SpanRange | None) -> list[int]:
    """Returns the spans to read, the oldest first; none where no address has dates."""
    if not any(_DATE.search(url) or span_macros.has_macros(url) for url in urls):
        if spans is not None:
            raise ConfigError(
                "range_config (data.range_config): expected {YYYY}, {MM} and {DD} in http.url, found none"
            )
        return []
    yesterday = (datetime.datetime.now(datetime.UTC).date() - datetime.date(1970, 1, 1)).days - 1
    wanted = spans or SpanRange()
    last = yesterday if wanted.last is None else wanted.last
    first = max(last - wanted.count + 1, wanted.first if wanted.first is not None else 0)
    if not 0 < last - first + 1 <= _MOST_SPANS:
        raise ConfigError(
            f"range_config (data.range_config): expected 1 to {_MOST_SPANS:,} days up to "
            f"{span_numbers.text(last, True)}, received {last - first + 1:,}"
        )
    return list(range(first, last + 1))


def _dated(url: str, span: int) -> str:
    day = datetime.date(1970, 1, 1) + datetime.timedelta(span)
    parts = {"YYYY": f"{day:%Y}", "MM": f"{day:%m}", "DD": f"{day:%d}"}
    return span_macros.expanded(_DATE.sub(lambda match: parts[match[1]], url), span)
