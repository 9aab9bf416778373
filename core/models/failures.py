"""What TensorFlow's errors say."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from penstock.core.suggestions import quoted


def cause(error: tf.errors.OpError) -> str:
    """Returns TensorFlow's message without the lines about its graph."""
    graph = ("Graph execution error", "Detected at node", "<stack traces", "[[")
    lines = (line.strip() for line in error.message.splitlines())
    return " ".join(line for line in lines if line and not line.startswith(graph))


def reason(error: Exception) -> str:
    """Returns what an error says that TensorFlow has raised: those in its C++ code in one line, of others the kind."""
    return cause(error) if isinstance(error, tf.errors.OpError) else f"{type(error).__name__}: {error}"


def emptied(said: str, before: Sequence[bytes], after: Sequence[bytes]) -> str:
    """Returns which value the model misses since cleaning took it for missing; "" where that is not why it failed."""
    name, lost = "", list[str]()
    for old, new in zip(before, after, strict=True):
        there, left = (tf.train.Example.FromString(one).features.feature for one in (old, new))
        for feature, values in there.items():
            if f"Feature: {feature} (" in said and values.WhichOneof("kind") and not _has_value(left, feature):
                kind = getattr(values, values.WhichOneof("kind")).value
                name = feature
                lost += [one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in kind[:1]]
    if not lost:
        return ""
    return (
        f"column {name!r}: the rules of cleaning take its value for missing in {len(lost):,} of {len(before):,} rows "
        f"({quoted(list(dict.fromkeys(lost)))}), and the model needs one in each: mend these rows or leave them out, "
        "or train with a rule `missing` that fills the column"
    )


def _has_value(features: Mapping[str, tf.train.Feature], name: str) -> bool:
    kind = features[name].WhichOneof("kind") if name in features else None
    return bool(kind and getattr(features[name], kind).value)
