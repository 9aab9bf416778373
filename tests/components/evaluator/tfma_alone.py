"""TFMA as an oracle, in a process that never imports Penstock, which mends some of TFMA's defects in its classes.

Reads one evaluation per line, as JSON, from standard input; evaluates as TFX's Evaluator does; answers with a line.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
import yaml
from apache_beam.options.pipeline_options import PipelineOptions
from google.protobuf import json_format, text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import config_util

from tests.servers import imported


def evaluate(models: list[str], config: str, data: str, schema: str, output: str) -> None:
    """`models` are SavedModels: the candidate, then the baseline; `data` is a file of examples."""
    given = json_format.ParseDict(yaml.safe_load(config), config_pb2.EvalConfig())
    completed = config_util.update_eval_config_with_defaults(given, has_baseline=len(models) > 1, rubber_stamp=True)
    shared: Any = [
        tfma.default_eval_shared_model(eval_saved_model_path=folder, model_name=spec.name, eval_config=completed)
        for folder, spec in zip(models, completed.model_specs, strict=True)
    ]
    tfma.run_model_analysis(
        eval_shared_model=shared if len(shared) > 1 else shared[0],
        eval_config=completed,
        data_location=data,
        output_path=output,
        schema=text_format.Parse(Path(schema).read_text(), schema_pb2.Schema()),
        # The default runner starts a server of its own for each pipeline.
        pipeline_options=PipelineOptions(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner"),
    )


if __name__ == "__main__":
    imported.settle()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            evaluate(**asked)
            answer = "done"
        except Exception:
            answer = traceback.format_exc()
        print(json.dumps([asked["output"], answer]), flush=True)
