"""The slices that an example belongs to."""

from typing import Any

import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.slicer import slicer_lib

SliceKey = tuple[Any, ...]
FEATURE_KEYS = (constants.FEATURES_KEY, constants.TRANSFORMED_FEATURES_KEY)


class SliceKeys:
    """The slices of an example. Examples with the same values in the slicing features share them."""

    def __init__(self, config: Any):
        self._specs = [slicer_lib.SingleSliceSpec(spec=spec) for spec in config.slicing_specs]
        for crossing in config.cross_slicing_specs:
            self._specs.append(slicer_lib.SingleSliceSpec(spec=crossing.baseline_spec))
            self._specs += [slicer_lib.SingleSliceSpec(spec=spec) for spec in crossing.slicing_specs]
        self._specs = list(dict.fromkeys(self._specs)) or [slicer_lib.SingleSliceSpec()]
        self._extract = slice_key_extractor.ExtractSliceKeysFn(config, materialize=False)
        self._known: dict[Any, tuple[SliceKey, ...]] = {}
        self.features = {
            name
            for spec in [*config.slicing_specs, *_crossed(config)]
            for name in [*spec.feature_keys, *spec.feature_values]
        }

    def of(self, extract: Any) -> tuple[SliceKey, ...]:
        values = tuple(_hashable(extract.get(key)) for key in FEATURE_KEYS)
        if values not in self._known:
            (sliced,) = self._extract.process(extract, self._specs)
            self._known[values] = tuple(tuple(map(tuple, key)) for key in sliced[constants.SLICE_KEY_TYPES_KEY])
        return self._known[values]


def _crossed(config: Any) -> list[Any]:
    return [
        spec for crossing in config.cross_slicing_specs for spec in [crossing.baseline_spec, *crossing.slicing_specs]
    ]


def _hashable(features: Any) -> Any:
    if isinstance(features, dict):
        return tuple((name, _hashable(value)) for name, value in features.items())
    return tuple(features.ravel().tolist()) if isinstance(features, np.ndarray) else repr(features)
