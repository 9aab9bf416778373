"""The newest records of a topic. No window is fixed, no offset is committed, and no state knows of them."""

import contextlib
from collections.abc import Iterator

from penstock.components.example_gen import configs
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.sampling.look import ROWS, Look
from penstock.components.example_gen.sources.kafka import source
from penstock.components.example_gen.sources.kafka.messages import OffsetsPiece
from penstock.components.example_gen.sources.kafka.options import KafkaOptions
from penstock.components.example_gen.sources.kafka.source import KafkaSource
from penstock.components.example_gen.sources.source import Opened


@contextlib.contextmanager
def opened(look: Look) -> Iterator[Opened[OffsetsPiece]]:
    """Messages that cannot be read are put aside into the scratch folder, as many as a run may."""
    source.check_splits(look.asked.splits)
    options = look.without("quarantine", "group_id")
    pattern = source.newest(KafkaOptions.parse(options), ROWS, str(look.scratch))
    with KafkaSource.open(look.request([InputSplit(configs.DEFAULT_INPUT[0].name, pattern)], options)) as found:
        yield found
