"""The task's log, and a file of JSON lines that other programs read."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar

from penstock.components.alerter import messages
from penstock.components.alerter.channels.channel import Channel
from penstock.components.alerter.settings import Log
from penstock.components.alerter.state import Message
from penstock.core.errors import UserError, explain_os_error
from penstock.core.files import documents

logger = logging.getLogger(__name__)
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}
_NEWEST = 1 << 20  # bytes of the file in which a message that may have been written is looked for
_BEGINNING = b'{"id": '  # of each line


@dataclass(frozen=True)
class LogChannel(Channel):
    """Writes each message once: what is in the file already is not written a second time."""

    settings: Log
    for_people: ClassVar[bool] = False
    by_feature: ClassVar[bool] = True

    def batches(self, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
        if messages:
            yield messages

    def send(self, batch: Sequence[Message]) -> None:
        for message in batch:
            text = "\n  ".join([messages.title(message), *messages.text(message).splitlines()])
            logger.log(_level(message), "%s", text)
        if self.settings.path:
            self._append(Path(self.settings.path), batch)

    def _append(self, path: Path, batch: Sequence[Message]) -> None:
        lines = [documents.json_text(messages.record(message)).encode() + b"\n" for message in batch]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                newest = _newest(file)
                if newest and not newest.endswith(b"\n"):
                    file.write(b"\n")
                file.write(b"".join(line for line in lines if line not in newest))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise explain_os_error(error) or UserError(f"{self.key}.log.path: {path}: {error}") from error


def _level(message: Message) -> int:
    return logging.INFO if messages.is_good(message) else _LEVELS[message["severity"]]


def _newest(file: BinaryIO) -> bytes:
    """Returns the last lines of a file, and removes the beginning of a line that a killed process has left.

    Another beginning is somebody else's: it stays.
    """
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(size - _NEWEST, 0))
    newest = file.read()
    whole = newest[: newest.rfind(b"\n") + 1]
    rest = newest.removeprefix(whole)
    is_own = rest.startswith(_BEGINNING) or _BEGINNING.startswith(rest)
    if not is_own or (start and not whole):
        return newest
    file.truncate(start + len(whole))
    return whole
