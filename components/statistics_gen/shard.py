"""The shards of StatisticsGen, and how their rows are read and sampled."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tensorflow_data_validation.statistics.stats_options import StatsOptions

from penstock.core.examples import payloads, records
from penstock.core.examples.payloads import PayloadFormat

_BATCH_ROWS = 1 << 15
_SAMPLE_SEED = 2017


@dataclass(frozen=True)
class Shard:
    """Consecutive files of a split; `number` is the shard's index in the split."""

    split: str
    number: int
    files: tuple[Path, ...]
    payload_format: PayloadFormat = payloads.TF_EXAMPLE

    def batches(self, options: StatsOptions) -> Iterator[pa.RecordBatch]:
        """Yields the rows of the shard, or a sample of them if the options have a `sample_rate`.

        Each row is in the sample with that probability, independently of the others. The seed is a constant and the
        shard's number, so the same files give the same sample.
        """
        schema = options.schema if options.experimental_filter_read_paths else None
        generator = np.random.default_rng([_SAMPLE_SEED, self.number])

        def sample(rows: int) -> np.ndarray:
            return np.flatnonzero(generator.random(rows) < options.sample_rate)

        select = sample if options.sample_rate else None
        yield from records.read_batches(self.files, schema, _BATCH_ROWS, select, self.payload_format)
