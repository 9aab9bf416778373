"""A request with its response, as both came."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Body:
    """The content of a request or a response. The type of a response may be that of its request, as KServe has it."""

    content: bytes
    content_type: str = ""

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in small letters."""
        return self.content_type.partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response; None for the one that is missing. The time is in microseconds since 1970."""

    time: int
    request_id: str
    request: Body | None
    response: Body | None
    sample: float = 1.0


class Unreadable(Exception):
    """A body gives no rows: for which reason, the same for all of a kind, and what this one has."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail
