"""Fixes of defects in TFMA 0.52 that give wrong results.

The fixes patch TFMA's own classes, so that an evaluation on Beam is right too. Each has a test that compares with numpy
or with TFMA's documentation.
"""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.proto.validation_result_pb2 import SlicingDetails, ValidationResult
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.utils import model_util

from penstock.core.models import signatures

_get_input_specs = model_util.get_input_specs

type _SliceSpec = slicer_lib.SingleSliceSpec | slicer_lib.CrossSliceSpec
type _Accumulators = tuple[Any, ...]  # one for each of TFMA's combiners


def patch() -> None:
    """Patches TFMA in this process; call it before TFMA is used, as often as you like."""
    _export()
    evaluator._ComputationsCombineFn.merge_accumulators = _merge_accumulators
    metrics_validator._hashed_slicing_details = _hashed_slicing_details
    metrics_validator.merge_details = _merge_details
    model_util.get_input_specs = _input_specs


def _export() -> None:
    """Makes tfma.EvalConfig and the other names of TFMA's messages and constants, which TFMA 0.52 forgot, public again.

    Modules for TFX name them, when they are imported as in annotations of their functions.
    """
    for module in (config_pb2, constants):
        for name, value in vars(module).items():
            if name[:1].isupper() and not hasattr(tfma, name):
                setattr(tfma, name, value)


def _merge_accumulators(
    self: evaluator._ComputationsCombineFn, accumulators: Iterable[_Accumulators], *_: object
) -> _Accumulators:
    """Merges the accumulators of each computation.

    The combiners of mean errors, cross entropies, flips and cosines take the first accumulator by
    `next(iter(accumulators))` and then loop over all of them. TFMA passes a sequence, so the first one counts twice.
    From an iterator, as here, it is taken only once.
    """
    parts = zip(*accumulators, strict=True)
    return tuple(combiner.merge_accumulators(iter(part)) for combiner, part in zip(self._combiners, parts, strict=True))


def _hashed_slicing_details(slicing_details: Iterable[SlicingDetails]) -> dict[_SliceSpec, SlicingDetails]:
    """Returns the details by their slicing spec, which may be one of cross slices.

    TFMA mistakes the cross slices of a threshold for the overall slice. Then it misses them and blesses no model.
    """
    details_by_spec: dict[_SliceSpec, SlicingDetails] = {}
    for details in slicing_details:
        details_by_spec.setdefault(_spec(details), details)
    return details_by_spec


def _merge_details(a: ValidationResult, b: ValidationResult) -> None:
    """Merges the validation details of `b` into those of `a`, spec by spec."""
    others = _hashed_slicing_details(b.validation_details.slicing_details)
    for details in a.validation_details.slicing_details:
        other = others.pop(_spec(details), None)
        if other is not None:
            details.num_matching_slices += other.num_matching_slices
    a.validation_details.slicing_details.extend(others.values())


def _spec(details: SlicingDetails) -> _SliceSpec:
    cross = details.HasField("cross_slicing_spec")
    return slicer_lib.deserialize_slice_spec(details.cross_slicing_spec if cross else details.slicing_spec)


def _input_specs(
    model: tf.Module, signature_name: str | None = None, required: bool = True
) -> dict[str, tf.TypeSpec] | None:
    """Returns the inputs that are features, none of a signature that parses tf.Examples.

    TFMA gives such a signature the examples unless they have a feature of its argument's name, such as `examples`. Then
    it gives it that feature.
    """
    specs: dict[str, tf.TypeSpec] | None = _get_input_specs(model, signature_name, required)
    if specs and len(specs) == 1 and all(spec.dtype == tf.string for spec in specs.values()):
        name = signature_name or model_util.get_default_signature_name_from_model(model)
        signature = model.signatures.get(name)
        if signature is not None and signatures.parses_examples(signature):
            return None
    return specs
