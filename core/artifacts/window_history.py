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

_BOUNDS: tuple[Literal["begin"], Literal["end"]] = ("begin", "end")


@dataclass(frozen=True)
class WindowHistory(Artifact):
    """The records of the windows of models, which later windows are shown beside.

    <model>/20261129T000000Z_20261130T000000Z.json      a WindowRecord, by its window's begin and end
    <model>/2/20261129T000000Z_20261130T000000Z.json    one of the requests of version 2 alone
    """

    _TIME: ClassVar[str] = "%Y%m%dT%H%M%SZ"

    def add(self, window: WindowRecord, version: int | None = None) -> Path:
        """Writes a window's record, in the place of an earlier one of the same window; returns where."""
        times = (datetime.fromisoformat(window[bound]).astimezone(UTC).strftime(self._TIME) for bound in _BOUNDS)
        path = self.folder(window["model"], version) / f"{'_'.join(times)}.json"
        atomic.write_text(path, json.dumps(window, allow_nan=False))
        return path

    def before(self, model: str, begin: datetime, most: int, version: int | None = None) -> list[WindowRecord]:
        """Returns the newest windows that begin before a moment, the oldest first; files that are none are skipped."""
        from pydantic import TypeAdapter

        read, folder = TypeAdapter(WindowRecord), self.folder(model, version)
        records = []
        for name in self.newest((path.name for path in folder.glob("*.json")), begin, most):
            with contextlib.suppress(OSError, ValueError):
                records.append(read.validate_json((folder / name).read_bytes()))
        return records

    def all(self) -> list[WindowRecord]:
        """Returns the windows of all models, the oldest first; files that are none are skipped."""
        from pydantic import TypeAdapter

        read, records = TypeAdapter(WindowRecord), []
        for path in self.root.glob("*/*.json"):
            with contextlib.suppress(OSError, ValueError):
                records.append(read.validate_json(path.read_bytes()))
        return sorted(records, key=lambda record: (record["end"], record["begin"], record["model"]))

    def newest(self, names: Iterable[str], begin: datetime, most: int) -> list[str]:
        """Returns which of a folder's files are those of the newest windows that begin before a moment."""
        earlier = (name for name in names if name.endswith(".json") and name < begin.strftime(self._TIME))
        return sorted(earlier)[-most:]

    def folder(self, model: str, version: int | None = None) -> Path:
        """Returns the folder of the windows of a model, or of one of its versions alone, whether it exists or not."""
        folder = self.root / quote(model, safe=" @=+,")
        return folder if version is None else folder / str(version)
