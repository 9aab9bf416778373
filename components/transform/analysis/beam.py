"""The whole analysis on Beam, for `tft.experimental.ptransform_analyzer`, which only Beam can evaluate."""

from pathlib import Path

import apache_beam as beam
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_transform import impl_helper
from tensorflow_transform.output_wrapper import TFTransformOutput

from penstock.components.transform import user_function
from penstock.components.transform.analysis.graph import Source
from penstock.components.transform.user_function import Traced


def analyze(traced: Traced, source: Source) -> Path:
    """Runs TFT's own AnalyzeDataset in this process; returns the folder of the SavedModel, as graph.analyze does.

    Raises a ModuleError if the user's code fails.
    """
    return Path(user_function.call(_run, traced, source))


def _run(traced: Traced, source: Source) -> Path:
    examples = source.reader.tfxio(source.files)
    target = traced.folder / "beam_result"
    with (
        tft_beam.Context(temp_dir=str(traced.folder / "beam")),
        beam.Pipeline(runner=FnApiRunner()) as pipeline,
    ):
        batches = pipeline | "Read" >> examples.BeamSource(batch_size=1 if source.reader.is_raw else None)
        transform_fn = (batches, examples.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(traced.function)
        transform_fn | "Write" >> tft_beam.WriteTransformFn(str(target))
    # As in the result of graph.analyze, the metadata is inside the SavedModel's folder.
    model: Path = target / TFTransformOutput.TRANSFORM_FN_DIR
    (target / TFTransformOutput.TRANSFORMED_METADATA_DIR).rename(model / impl_helper.METADATA_DIR_NAME)
    return model
