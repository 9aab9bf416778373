"""Which splits are analyzed and which are transformed: TFX's SplitsConfig over the files there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.core.arguments import check_strings, parse_object
from penstock.core.artifacts import Examples
from penstock.core.errors import ConfigError, DataError


@dataclass(frozen=True)
class Splits:
    """The files of the splits that are analyzed, and of those that are transformed, in order."""

    analyze: dict[str, list[Path]]
    transform: dict[str, list[Path]]

    @property
    def analyzed_files(self) -> list[Path]:
        return [path for files in self.analyze.values() for path in files]

    def all(self) -> Iterator[tuple[str, list[Path]]]:
        """Yields each split once, those that are analyzed first."""
        yield from {**self.analyze, **self.transform}.items()


def resolve(config: str, examples: Examples) -> Splits:
    """Returns the splits that a SplitsConfig as JSON names; without one, analyzes `train` and transforms all.

    Raises a ConfigError for an unknown key or an empty `analyze`, a DataError for a split or files that are not there.
    """
    analyze, transform = ["train"], examples.splits()
    if config:
        named = parse_object("splits_config", config, ("analyze", "transform"))
        analyze, transform = (
            check_strings(f"splits_config.{key}", named.get(key, [])) for key in ("analyze", "transform")
        )
        if not analyze:
            raise ConfigError("splits_config: expected at least one split in 'analyze', found none")
    examples.require_splits([*analyze, *transform])
    splits = Splits(
        {name: examples.files(name) for name in analyze}, {name: examples.files(name) for name in transform}
    )
    if not splits.analyzed_files:
        raise DataError(f"split {analyze[0]!r}: expected files of examples to analyze, found none in {examples.root}")
    return splits
