"""Which splits are analyzed and which are transformed: TFX's SplitsConfig over the files there are."""

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.core.artifacts import Examples
from penstock.core.errors import ConfigError, DataError

_KEYS = ("analyze", "transform")


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
        given = _parse(config)
        analyze, transform = given.get("analyze", []), given.get("transform", [])
        if not analyze:
            raise ConfigError("splits_config: expected at least one split in 'analyze', found none")
    examples.require_splits([*analyze, *transform])
    splits = Splits(
        {name: examples.files(name) for name in analyze}, {name: examples.files(name) for name in transform}
    )
    if not splits.analyzed_files:
        raise DataError(f"split {analyze[0]!r}: expected files of examples to analyze, found none in {examples.root}")
    return splits


def _parse(config: str) -> dict[str, list[str]]:
    try:
        given = json.loads(config)
    except json.JSONDecodeError as error:
        raise ConfigError(f"splits_config: expected JSON, received {config!r:.80}: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f"splits_config: expected a JSON object, received {config!r:.80}")
    for key, names in given.items():
        if key not in _KEYS:
            nearest = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise ConfigError(f"splits_config: expected the keys 'analyze' and 'transform', received {key!r}{hint}")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ConfigError(f"splits_config: expected a list of split names in {key!r}, received {names!r}")
    return given
