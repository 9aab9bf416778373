"""Rows of a server that goes away: all of them come, once each and in order, or a bounded failure does."""

from collections.abc import Callable, Iterator

import pytest

from penstock.components.example_gen.sources.reading_again import reading_again
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.0)


def _cut(*ends: int) -> tuple[Callable[[], Iterator[int]], list[int]]:
    """Returns a read of ten rows whose connection is cut after so many of them, each time, and how often it was."""
    tries: list[int] = []

    def read() -> Iterator[int]:
        tries.append(len(tries))
        end = ends[len(tries) - 1] if len(tries) <= len(ends) else 10
        yield from range(end)
        if end < 10:
            raise ConnectionError(f"cut after {end}")

    return read, tries


def _failure(error: Exception) -> Unanswered | None:
    return Unanswered("the server is gone") if isinstance(error, ConnectionError) else None


@pytest.mark.parametrize("ends", [(), (0,), (4,), (4, 4, 9), (1, 2, 3, 4, 5, 6, 7, 8, 9), (5, 3, 9)])
def test_no_row_is_given_twice_and_none_is_left_out(ends: tuple[int, ...]) -> None:
    read, tries = _cut(*ends)
    assert list(reading_again(read, _failure)) == list(range(10))
    assert len(tries) == len(ends) + 1


@pytest.mark.parametrize(("ends", "given"), [((0, 0, 0), 0), ((6, 6, 6, 6), 6), ((6, 2, 6, 6), 6)])
def test_three_failures_without_anything_new_are_enough(ends: tuple[int, ...], given: int) -> None:
    read, tries = _cut(*ends, *ends)
    rows: list[int] = []
    with pytest.raises(Unanswered, match="the server is gone"):
        rows.extend(reading_again(read, _failure))
    assert rows == list(range(given))
    assert len(tries) == 3


def test_what_does_not_pass_is_raised_as_it_is() -> None:
    def read() -> Iterator[int]:
        yield 1
        raise ValueError("no number")

    with pytest.raises(ValueError, match="no number"):
        list(reading_again(read, _failure))
