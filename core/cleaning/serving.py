"""Serialized tf.Examples as a server cleans them before its model sees them. Needs no TensorFlow.

What cannot be cleaned is left as it is, and the model says what is wrong with it: bytes that are no tf.Example, and
values of another type than the column's.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from penstock.core.cleaning.cleaning import Cleaning
from penstock.core.errors import DataError
from penstock.core.examples import decoder, encoder


class Cleaner:
    """Cleans batches of serialized tf.Examples; threads may share it. Picklable."""

    def __init__(self, cleaning: Cleaning):
        self._cleaning = cleaning

    @classmethod
    def beside(cls, path: Path) -> "Cleaner | None":
        """Returns the cleaner of a cleaning.json; None where there is no such file, or no rule that is for servers."""
        if not path.is_file():
            return None
        cleaning = Cleaning.read(path)
        return cls(cleaning) if cleaning.served else None

    @property
    def cleaning(self) -> Cleaning:
        return self._cleaning

    def clean(self, examples: Sequence[bytes]) -> list[bytes]:
        """Returns the examples as the rules mend them, as many and in their order."""
        cleaned = self._cleaned(examples)
        if cleaned is not None or len(examples) < 2:
            return list(examples) if cleaned is None else cleaned
        each = (self._cleaned([example]) for example in examples)  # they differ in their features, or one is none
        return [example if single is None else single[0] for example, single in zip(examples, each, strict=True)]

    def _cleaned(self, examples: Sequence[bytes]) -> list[bytes] | None:
        """Returns cleaned examples; None if they cannot be cleaned together."""
        batch = decoder.decode(examples)
        if batch is None:
            return None
        try:
            cleaned = self._cleaning.serve(batch)
            if cleaned is batch:
                return list(examples)
            rows: list[bytes] = encoder.encode(cleaned, skip_nulls=True).to_numpy(zero_copy_only=False).tolist()
        except (DataError, pa.ArrowException):
            return None
        return rows
