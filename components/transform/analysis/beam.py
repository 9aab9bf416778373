"""The whole analysis on Beam, for what only Beam can evaluate: `tft.experimental.ptransform_analyzer`."""

from pathlib import Path

import apache_beam as beam
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import impl_helper
from tensorflow_transform.output_wrapper import TFTransformOutput
from tfx_bsl.tfxio import tf_example_record

from penstock.components.transform import user_function
from penstock.components.transform.analysis.graph import Source
from penstock.components.transform.user_function import Traced


def analyze(traced: Traced, source: Source) -> Path:
    """Returns the folder of the analyzed SavedModel, as TFT's own AnalyzeDataset makes it, in this process."""
    return Path(user_function.call(_run, traced, source))


def _run(traced: Traced, source: Source) -> Path:
    schema = schema_pb2.Schema.FromString(source.reader.schema)
    files = [str(path) for path in source.files]
    examples = tf_example_record.TFExampleRecord(files, schema=schema).Project(list(source.reader.columns))
    target = traced.folder / "beam_result"
    with (
        tft_beam.Context(temp_dir=str(traced.folder / "beam")),
        beam.Pipeline(runner=FnApiRunner()) as pipeline,
    ):
        batches = pipeline | "Read" >> examples.BeamSource()
        transform_fn = (batches, examples.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(traced.function)
        transform_fn | "Write" >> tft_beam.WriteTransformFn(str(target))
    # Laid out as what the analysis in process returns: the metadata inside the SavedModel's folder.
    model: Path = target / TFTransformOutput.TRANSFORM_FN_DIR
    (target / TFTransformOutput.TRANSFORMED_METADATA_DIR).rename(model / impl_helper.METADATA_DIR_NAME)
    return model
