"""What the data of a pipeline has that its model was not trained on."""

from dataclasses import dataclass

from penstock.components.example_gen.inputs import references, resolving, spans
from penstock.core.artifacts.monitoring import TrainedOn


@dataclass(frozen=True)
class Source:
    """Where the pipeline's data is, as its InputResolver is told."""

    input_base: str
    input_config: str = ""
    range_config: str = ""


@dataclass(frozen=True)
class Data:
    """The data that a run would read now.

    `newer_spans` are those that the model was not trained on, `newer_rows` about how many rows are new, by the size of
    their files; both are None where nobody knows what it was trained on.
    """

    fingerprint: str
    spans: str = ""
    newer_spans: int | None = None
    newer_rows: int | None = None


def look(source: Source, trained: TrainedOn | None) -> Data:
    """Looks at the data. Raises what the InputResolver raises, a DataError or a ConfigError."""
    resolved = resolving.resolve(
        input_base=source.input_base, input_config=source.input_config, range_config=source.range_config
    )
    words = spans.in_words(resolved)
    if trained is None or references.is_reference(source.input_base):  # only of files it is known how many rows are new
        return Data(resolved.fingerprint, words)
    size, known = spans.total_bytes(resolved.fingerprint), spans.total_bytes(trained["fingerprint"])
    if trained["spans"]:
        newer = spans.newer(source.input_base, source.input_config, trained["span"])
        count, added = len(newer.spans), newer.size
    else:
        count, added = 0, max(0, size - known)
    return Data(resolved.fingerprint, words, count, round(added / known * trained["rows"]) if known else None)
