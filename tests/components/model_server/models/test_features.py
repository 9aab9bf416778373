"""What the schema beside a model says of the features that it parses."""

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.model_server.models import features
from penstock.core.models.signatures import ParsedFeature


def test_a_feature_is_required_where_every_example_has_a_value() -> None:
    """TFDV says of one that may be empty, such as the taxi data's tracts, that it is present in every example."""
    schema = text_format.Parse(
        """
        feature { name: "fare" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 1 } } }
        feature { name: "words" type: BYTES presence { min_fraction: 1 } value_count { min: 1 } }
        feature { name: "tract" type: INT presence { min_fraction: 1 min_count: 1 } }
        feature { name: "company" type: BYTES presence { min_count: 1 } value_count { min: 1 max: 1 } }
        feature { name: "tips" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 1 } }
                  not_in_environment: "SERVING" }
        """,
        schema_pb2.Schema(),
    )
    types = {"fare": tf.float32, "words": tf.string, "tract": tf.int64, "company": tf.string, "tips": tf.float32}
    parsed = {name: ParsedFeature(dtype, required=False) for name, dtype in types.items()}
    served = features.served(parsed, schema)
    assert [name for name, feature in served.items() if feature.required] == ["fare", "words"]
    parsed["tract"] = ParsedFeature(tf.int64, required=True)  # the graph has no default for it
    assert features.served(parsed, schema)["tract"].required
