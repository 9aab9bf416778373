"""Defects of TFMA 0.52 that make results wrong, mended in its own classes, so that what goes through Beam is right too.

`mend` is called where TFMA is first used. A test of each compares with numpy or with what TFMA documents.
"""

from collections.abc import Iterable
from typing import Any

from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.slicer import slicer_lib


def mend() -> None:
    evaluator._ComputationsCombineFn.merge_accumulators = _merge_accumulators
    metrics_validator._hashed_slicing_details = _hashed_slicing_details
    metrics_validator.merge_details = _merge_details


def _merge_accumulators(self: Any, accumulators: Iterable[Any], *_: Any) -> tuple[Any, ...]:
    """Merges the accumulators of each computation.

    The combiners of mean errors, cross entropies, flips and cosines take the first accumulator by
    `next(iter(accumulators))` and then go over all of them: of a sequence, which is what they are given, they count
    the first twice. An iterator is gone through once.
    """
    parts = zip(*accumulators, strict=True)
    return tuple(combiner.merge_accumulators(iter(part)) for combiner, part in zip(self._combiners, parts, strict=True))


def _hashed_slicing_details(slicing_details: Iterable[Any]) -> dict[Any, Any]:
    """Returns the details by their slicing spec, that of cross slices too.

    TFMA takes a threshold's cross slices for the overall slice, then misses them and blesses no model.
    """
    found: dict[Any, Any] = {}
    for details in slicing_details:
        found.setdefault(_spec(details), details)
    return found


def _merge_details(a: Any, b: Any) -> None:
    """Merges the validation details of the ValidationResult `b` into those of `a`, spec by spec."""
    others = _hashed_slicing_details(b.validation_details.slicing_details)
    for details in a.validation_details.slicing_details:
        other = others.pop(_spec(details), None)
        if other is not None:
            details.num_matching_slices += other.num_matching_slices
    a.validation_details.slicing_details.extend(others.values())


def _spec(details: Any) -> Any:
    cross = details.HasField("cross_slicing_spec")
    return slicer_lib.deserialize_slice_spec(details.cross_slicing_spec if cross else details.slicing_spec)
