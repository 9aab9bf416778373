"""Which splits are analyzed and which are transformed, by TFX's SplitsConfig, and their files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.core.arguments import check_strings, parse_object
from penstock.core.artifacts import Examples
from penstock.core.errors import ConfigError, DataError


@dataclass(frozen=True)
class Splits:
    """The files of the splits to analyze and of the splits to transform, in the order of the SplitsConfig."""

    analyze: dict[str, list[Path]]
    transform: dict[str, list[Path]]

    @property
    def analyzed_files(self) -> list[Path]:
        return [path for files in self.analyze.values() for path in files]

    def all(self) -> Iterator[tuple[str, list[Path]]]:
        """Yields each split once, those that are analyzed first."""
        yield from {**self.analyze, **self.transform}.items()


def resolve(config: str, examples: Examples) -> Splits:
    """Returns the splits of a SplitsConfig in JSON; "" stands for analyzing `train` and transforming all splits.

    Raises a ConfigError if a key is unknown or `analyze` is empty, and a DataError if a split is missing or there are
    no files to analyze.
    """
    analyze, transform = ["train"], examples.splits()
    if config:
        splits_config = parse_object("splits_config", config, ("analyze", "transform"))
        analyze, transform = (
            check_strings(f"splits_config.{key}", splits_config.get(key, [])) for key in ("analyze", "transform")
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
