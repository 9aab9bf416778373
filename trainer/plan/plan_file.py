"""plan.json in a Trainer's model_run: what the columns were taken for, and what was found in them."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow_transform as tft

from penstock.core import artifacts
from penstock.core.files import atomic
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.plan import columns
from penstock.trainer.plan.features import Categorical, Numeric
from penstock.trainer.plan.plan import Plan

logger = logging.getLogger(__name__)
_NO_VALUE = [b"49d0cd50-04bb-48c0-bc6f-5b575dce351a"]  # what TFT writes for a vocabulary that would be empty


def write(folder: Path, made: Plan, transform_output: tft.TFTransformOutput, fn_args: FnArgs) -> None:
    """Writes the plan, the sizes of the vocabularies that Transform made, and the share of rows that lack a column.

    Shares are of the split that was analysed, where the Trainer is given its statistics and schema. A warning names
    categories of which no value is known.
    """
    vocabularies = {
        feature.output: _known(feature, transform_output)
        for feature in made.features
        if isinstance(feature, Categorical)
    }
    from_data = {"vocabularies": vocabularies, "missing": _missing(made, fn_args)}
    atomic.write_text(
        artifacts.ModelRun(folder).plan, json.dumps(made.to_json() | from_data, indent=1, ensure_ascii=False)
    )


def _known(feature: Categorical, transform_output: tft.TFTransformOutput) -> int:
    """Returns how many values of a category are told apart."""
    size: int = transform_output.vocabulary_size_by_name(feature.output)
    if size > 1 or transform_output.vocabulary_by_name(feature.output) != _NO_VALUE:
        return size
    logger.warning(
        "feature %s: none of its values occurs %d times, so it tells the model nothing: is it a category? if so, "
        "features: {%s: {frequency_threshold: 1}}",
        feature.name,
        feature.frequency_threshold,
        feature.name,
    )
    return 0


def _missing(made: Plan, fn_args: FnArgs) -> Mapping[str, float]:
    """Returns the share of rows that lack a column, by its name. Words among numbers that are read count as missing."""
    if fn_args.statistics_path is None or fn_args.schema_path is None:
        return {}
    config: Mapping[str, Any] = fn_args.custom_config or {}
    split, statistics = config.get("split") or "train", artifacts.ExampleStatistics(Path(fn_args.statistics_path))
    if not statistics.path(split).is_file():  # an ejected module may be trained with those of other splits
        return {}
    table = columns.table(artifacts.read_schema(Path(fn_args.schema_path)), statistics.read(split))
    numeric = {feature.name for feature in made.features if isinstance(feature, Numeric)}
    return {
        name: round(1 - ((name in numeric and column.as_numbers) or column).present / column.rows, 4)
        for name, column in table.items()
        if not column.sparse_size and not column.unreadable
    }
