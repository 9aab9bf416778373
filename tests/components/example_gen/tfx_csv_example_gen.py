"""Runs TFX's own CsvExampleGen executor: `python tfx_csv_example_gen.py <input base> <output> <output config>`."""

import sys

from google.protobuf import json_format
from tfx.components.example_gen import utils
from tfx.components.example_gen.csv_example_gen.executor import Executor
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

input_base, output, output_config = sys.argv[1:]
examples = standard_artifacts.Examples()
examples.uri = output
config = json_format.Parse(output_config or "{}", example_gen_pb2.Output())
if not output_config:
    config = utils.make_default_output_config(utils.make_default_input_config())
properties = {
    "input_base": input_base,
    "input_config": proto_utils.proto_to_json(utils.make_default_input_config()),
    "output_config": proto_utils.proto_to_json(config),
    "output_data_format": example_gen_pb2.FORMAT_TF_EXAMPLE,
    "output_file_format": example_gen_pb2.FORMAT_TFRECORDS_GZIP,
}
Executor().Do({}, {"examples": [examples]}, properties)
