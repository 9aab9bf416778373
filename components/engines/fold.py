"""Map, fold and cut: what is the same whichever engine computes the shards."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

from penstock.core.files import temporary

Shard = TypeVar("Shard")
Result = TypeVar("Result")
Batch = TypeVar("Batch")
# Shards are cut by the data alone, never by the workers: the same files give the same bytes on every engine.
_CUT_BYTES = 1 << 20  # compressed: about 20,000 rows of ten features
_MOST_STRIPES = 8  # each reads all of the file: eight times that is still less than evaluating it


class Engine(ABC):
    """Computes a function of each shard. A context manager: leaving it ends what the engine started.

    How many shards are computed at once is the engine's business: callers pass all shards in one call.
    """

    @abstractmethod
    def results(self, function: Callable[[Shard], Result], shards: Iterable[Shard]) -> Generator[Result]:
        """Yields `function(shard)` for each shard, in the shards' order. What an engine implements.

        At most one result for each worker is in memory, those in the workers included: a worker gives its result
        away before it computes another, and the caller has finished with a result when it asks for the next.

        Raises what the function raised for the first failing shard in order. A shard whose worker was lost is tried
        once more alone; `WorkerLost` if that fails too. Closing the generator drops the shards that are left.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:  # noqa: B027  an engine may have nothing to end
        pass

    def folder(self) -> AbstractContextManager[Path]:
        """Gives a new folder for temporary files that workers see too, which is removed at the end."""
        return temporary.folder()

    def map(self, function: Callable[[Shard], Result], shards: Iterable[Shard]) -> list[Result]:
        """Returns `[function(shard) for shard in shards]`; for results that are needed side by side.

        Raises what `results` raises.
        """
        return list(self.results(function, shards))

    def fold(
        self,
        function: Callable[[Shard], Result],
        merge: Callable[[Result, Result], Result],
        shards: Iterable[Shard],
    ) -> Result | None:
        """Returns the results merged from left to right, `merge(merge(r0, r1), r2)` and so on; None of no shards.

        The order is that of the shards, so sums of floats are the same bits on every engine. `merge` runs in the
        calling process and may change and return its first argument. Beside the total, memory holds what `results`
        says. Raises what `results` and `merge` raise.
        """
        with contextlib.closing(self.results(function, shards)) as results:
            total = next(results, None)
            for result in results:
                assert total is not None
                total = merge(total, result)
                del result  # or it would stay in memory until the next one is there
            return total


@dataclass(frozen=True)
class Stripe:
    """Every `count`-th batch of a file, from batch `index` on."""

    file: Path
    index: int
    count: int

    def of(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yields those of the file's batches that are in this stripe."""
        return islice(batches, self.index, None, self.count)


def groups(files: Iterable[Path]) -> Iterator[tuple[Path, ...]]:
    """Yields files of Examples in groups of about a megabyte, in order: each file once, small neighbours together."""
    group: list[Path] = []
    size = 0
    for path in files:
        group.append(path)
        size += path.stat().st_size
        if size >= _CUT_BYTES:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def stripes(files: Iterable[Path]) -> Iterator[Stripe]:
    """Yields files of Examples in stripes of about a megabyte, in order: several of a large file.

    Each stripe reads the whole file, so this is for steps whose computing costs much more than reading.
    """
    for path in files:
        count = min(_MOST_STRIPES, -(-path.stat().st_size // _CUT_BYTES))
        yield from (Stripe(path, index, count) for index in range(count))
