"""Where values go that cannot be read: a file of JSON lines for each piece that has some."""

import base64
import json
import shutil
from dataclasses import dataclass, field
from typing import Any

from penstock.components.example_gen.sources.kafka.messages import OffsetsPiece
from penstock.components.example_gen.sources.kafka.options import KafkaOptions
from penstock.core.errors import DataError
from penstock.core.files import atomic, object_stores


@dataclass(frozen=True)
class Bad:
    """A message whose value cannot be read, and why."""

    message: Any
    error: str

    def line(self) -> bytes:
        message = self.message
        raw = {"value": message.value(), "key": message.key()}
        fields = {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": message.timestamp()[1],
            "error": self.error,
            **{
                f"{name}_base64": None if part is None else base64.b64encode(part).decode()
                for name, part in raw.items()
            },
        }
        return json.dumps(fields).encode() + b"\n"


@dataclass(frozen=True)
class Quarantine:
    """A folder, of this machine or in an object store, with a folder `window-000042` for each window."""

    folder: str

    def clear(self, window: int) -> None:
        """Removes what an earlier attempt to read a window has left."""
        place = self._place(window)
        if object_stores.is_remote(place):
            with object_stores.open_store(place) as store:
                for name in store.files(place):
                    store.remove(object_stores.join(place, name))
        else:
            shutil.rmtree(atomic.local_path(place), ignore_errors=True)

    def count(self, window: int) -> int:
        """Returns how many messages of a window are in it."""
        place = self._place(window)
        if object_stores.is_remote(place):
            with object_stores.open_store(place) as store:
                contents = [store.read(object_stores.join(place, name)) for name in store.files(place)]
        else:
            contents = [path.read_bytes() for path in sorted(atomic.local_path(place).glob("*.jsonl"))]
        return sum(content.count(b"\n") for content in contents)

    def write(self, piece: OffsetsPiece, bad: list[Bad]) -> None:
        """Writes the bad messages of a piece; reading it again writes the same file."""
        name = f"partition-{piece.partition}-offset-{piece.begin:012d}.jsonl"
        place = object_stores.join(self._place(piece.window), name)
        content = b"".join(one.line() for one in bad)
        if object_stores.is_remote(place):
            with object_stores.open_store(place) as store:
                store.write(place, content)
        else:
            atomic.write_bytes(atomic.local_path(place), content)

    def _place(self, window: int) -> str:
        return object_stores.join(self.folder, f"window-{window:06d}")


@dataclass
class Account:
    """The bad messages of a piece, while it is read."""

    options: KafkaOptions
    quarantine: Quarantine | None
    piece: OffsetsPiece
    found: list[Bad] = field(default_factory=list)

    def add(self, bad: list[Bad]) -> None:
        """Takes bad messages; a DataError if there are more than may be."""
        self.found += bad
        if len(self.found) > self.options.max_bad_messages:
            self._write()
            raise self._too_many(
                f"more than {self.options.max_bad_messages:,}" if self.options.max_bad_messages else ""
            )

    def close(self) -> None:
        """Writes what was found. Of all pieces of a window the last one to be closed sees how many there are in all."""
        if not self.found:
            return
        self._write()
        if self.quarantine and self.quarantine.count(self.piece.window) > self.options.max_bad_messages:
            raise self._too_many(f"more than {self.options.max_bad_messages:,}")

    def _write(self) -> None:
        if self.quarantine:
            self.quarantine.write(self.piece, self.found)

    def _too_many(self, more: str) -> DataError:
        first = self.found[0]
        where = f"{self.piece.name}, offset {first.message.offset()}"
        kept = f"; they are in {self.quarantine.folder}" if self.quarantine else ""
        many = f", and so are others, {more} in all{kept}" if more else ""
        return DataError(
            f"{where}: the value cannot be read as {self.options.value_format}: {first.error}{many}: mend what "
            "produces them, or allow more with kafka.max_bad_messages"
        )
