"""What can be set of the collector."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where events go, and when.

    Args:
        log: The folder of the request log, or its URI in an object store.
        journals: The folder of what is not yet in the log; one collector has it.
        namespace: The namespace whose models are called by their names alone; others are called NAME.NAMESPACE.
        host: The address to listen at.
        port: Its port, 0 for a free one.
        rotate_seconds: How old a journal gets.
        rotate_bytes: How large a journal gets; so much is in memory while its files are written.
        patience: For how many seconds a request waits for its response, and a response for its request.
        event_bytes: How large an event may be.
        queue_bytes: How many bytes of events may wait for the disk; more are refused.
        journal_bytes: How many bytes of journals there may be where the log takes no files; more events are refused.
    """

    log: str
    journals: Path
    namespace: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    rotate_seconds: float = 300
    rotate_bytes: int = 32 << 20
    patience: float = 60
    event_bytes: int = 32 << 20
    queue_bytes: int = 64 << 20
    journal_bytes: int = 4 << 30
