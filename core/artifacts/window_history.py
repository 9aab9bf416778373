"""The windows of models that were monitored, kept for those that come after."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import quote

from penstock.core.artifacts.artifact import Artifact
from penstock.core.artifacts.monitoring import WindowRecord
from penstock.core.files import atomic

# What was counted in a window, by subject and feature: over the bins of its baseline.
type KeptCounts = dict[str, dict[str, dict[str, list[int]]]]

_UNNAMED = "%"  # the folder of a model without a name: what is quoted is never called so
_BOUNDS: tuple[Literal["begin"], Literal["end"]] = ("begin", "end")


@dataclass(frozen=True)
class WindowHistory(Artifact):
    """The records of the windows of models, which later windows are shown beside.

    <model>/20261129T000000Z_20261130T000000Z.json      a WindowRecord, by its window's begin and end
    <model>/2/20261129T000000Z_20261130T000000Z.json    one of the requests of version 2 alone
    …/20261129T000000Z_20261130T000000Z.counts          KeptCounts of such a window, as JSON
    """

    _TIME: ClassVar[str] = "%Y%m%dT%H%M%SZ"

    def path(self, window: WindowRecord, version: int | None = None) -> Path:
        """Returns where a window's record is kept."""
        times = (datetime.fromisoformat(window[bound]).astimezone(UTC).strftime(self._TIME) for bound in _BOUNDS)
        return self.folder(window["model"], version) / f"{'_'.join(times)}.json"

    def counts_path(self, window: WindowRecord, version: int | None = None) -> Path:
        """Returns where a window's counts are kept."""
        return self.path(window, version).with_suffix(".counts")

    def add(self, window: WindowRecord, version: int | None = None, counts: KeptCounts | None = None) -> list[Path]:
        """Writes a window's record and its counts, in the place of earlier ones of the same window; returns where."""
        paths = [self.path(window, version)]
        if counts is not None:
            paths.insert(0, self.counts_path(window, version))
            atomic.write_text(paths[0], json.dumps(counts))
        atomic.write_text(paths[-1], json.dumps(window, allow_nan=False))
        return paths

    def counts(self, window: WindowRecord, version: int | None = None) -> KeptCounts | None:
        """Returns the counts of a window; None if there are none, or they are damaged."""
        from pydantic import TypeAdapter

        with contextlib.suppress(OSError, ValueError):
            content = self.counts_path(window, version).read_bytes()
            counts: KeptCounts = TypeAdapter(KeptCounts).validate_json(content)
            return counts
        return None

    def before(
        self, model: str, begin: datetime, most: int, version: int | None = None, since: datetime | None = None
    ) -> list[WindowRecord]:
        """Returns the newest windows that begin before a moment, the oldest first; files that are none are skipped.

        They are `most` at most, but for those that end at `since` or later, which are all there.
        """
        folder = self.folder(model, version)
        return self._read(folder, self.newest((path.name for path in folder.glob("*.json")), begin, most, since))

    def at(self, model: str, begin: datetime, version: int | None = None) -> list[WindowRecord]:
        """Returns the windows that begin at a moment, the shortest first."""
        folder = self.folder(model, version)
        return self._read(folder, self.named((path.name for path in folder.glob("*.json")), begin))

    @staticmethod
    def _read(folder: Path, names: Iterable[str]) -> list[WindowRecord]:
        from pydantic import TypeAdapter

        read, records = TypeAdapter(WindowRecord), []
        for name in names:
            with contextlib.suppress(OSError, ValueError):
                records.append(read.validate_json((folder / name).read_bytes()))
        return records

    def all(self) -> list[WindowRecord]:
        """Returns the windows of all models, the oldest first; files that are none are skipped."""
        found = self.root.glob("*/*.json")
        records = [record for path in found for record in self._read(path.parent, [path.name])]
        return sorted(records, key=lambda record: (record["end"], record["begin"], record["model"]))

    def named(self, names: Iterable[str], begin: datetime) -> list[str]:
        """Returns which of a folder's files are records of windows that begin at a moment."""
        start = begin.astimezone(UTC).strftime(self._TIME)
        return sorted(name for name in names if name.startswith(start) and name.endswith(".json"))

    def newest(self, names: Iterable[str], begin: datetime, most: int, since: datetime | None = None) -> list[str]:
        """Returns which of a folder's files are those that `before` reads."""
        first = begin.astimezone(UTC).strftime(self._TIME)
        earlier = sorted(name for name in names if name.endswith(".json") and name < first)
        older, newest = earlier[:-most], earlier[-most:]
        if since is not None:
            bound = since.astimezone(UTC).strftime(self._TIME)
            newest = [*(name for name in older if name.partition("_")[2] >= bound), *newest]
        return newest

    def folder(self, model: str, version: int | None = None) -> Path:
        """Returns the folder of the windows of a model, or of one of its versions alone, whether it exists or not."""
        name = quote(model, safe=" @=+,") or _UNNAMED
        folder = self.root / (name if name.strip(".") else name.replace(".", "%2E"))
        return folder if version is None else folder / str(version)
