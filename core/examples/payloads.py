"""What the records of Examples are, by TFX's names, as the artifact's metadata has them. Standard library only."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from penstock.core.errors import ConfigError

PayloadFormat = Literal["FORMAT_TF_EXAMPLE", "FORMAT_TF_SEQUENCE_EXAMPLE"]
TF_EXAMPLE: Final = "FORMAT_TF_EXAMPLE"
TF_SEQUENCE_EXAMPLE: Final = "FORMAT_TF_SEQUENCE_EXAMPLE"
PROPERTY: Final = "payload_format"
MESSAGES: dict[PayloadFormat, str] = {TF_EXAMPLE: "tf.Example", TF_SEQUENCE_EXAMPLE: "tf.SequenceExample"}


def parse(name: object) -> PayloadFormat:
    """Returns the format of this name; without one tf.Example, as TFX does. A ConfigError for formats of no records."""
    for payload_format in get_args(PayloadFormat):
        if (name or TF_EXAMPLE) == payload_format:
            return payload_format  # type: ignore[no-any-return]
    raise ConfigError(f"{PROPERTY}: expected {' or '.join(get_args(PayloadFormat))}, received {name!r}")


def of(properties: Mapping[str, object]) -> PayloadFormat:
    """Returns the format in the metadata of an Examples artifact."""
    return parse(properties.get(PROPERTY))
