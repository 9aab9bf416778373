"""FnArgs against TFX's own class, and the run_fn in its documentation."""

import ast
import dataclasses
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attr
import pandas as pd
import pytest
import tensorflow as tf
from tfx.components.trainer import fn_args_utils as tfx

from penstock.components.trainer import executor
from penstock.core.artifacts import Model
from penstock.trainer import fn_args
from penstock.trainer.data import reader
from penstock.trainer.fn_args import DataAccessor, FnArgs


def test_fields_are_tfx_in_order_and_none() -> None:
    theirs = [(field.name, field.default) for field in attr.fields(tfx.FnArgs)]
    ours = [(field.name, field.default) for field in dataclasses.fields(FnArgs)]
    assert ours == [
        *theirs, ("statistics_path", None), ("device", None), ("payload_format", "FORMAT_TF_EXAMPLE"),
    ]  # fmt: skip
    assert DataAccessor._fields == tfx.DataAccessor._fields


def test_attributes_work_as_in_tfx() -> None:
    for kind in (FnArgs, tfx.FnArgs):
        fn_args = kind(train_steps=3)
        assert not hasattr(fn_args, "num_examples")
        fn_args.num_examples = {"train": 5}
        fn_args.train_steps = 4
        assert (fn_args.num_examples, fn_args.train_steps, fn_args.eval_steps) == ({"train": 5}, 4, None)
        assert kind(train_steps=3) == kind(train_steps=3) != kind(train_steps=4)


def test_data_accessor_has_no_data_view() -> None:
    accessor = reader.data_accessor()
    assert accessor.data_view_decode_fn is None
    factories = (accessor.tf_dataset_factory, accessor.record_batch_factory)
    assert [factory.func for factory in factories] == [reader.tf_dataset, reader.record_batches]  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")  # by Keras itself, as the default of fit
def test_the_documented_run_fn_trains(table: Callable[..., Any], penguins_csv: Path, tmp_path: Path) -> None:
    data = table(pd.read_csv(penguins_csv).sample(frac=1, random_state=0), eval_rows=100).transform(
        {"label": "species"}
    )
    blocks = (ast.get_docstring(ast.parse(Path(fn_args.__file__).read_text())) or "").split("\n\n")
    lines = [block for block in blocks if block.startswith("    ")]
    module = tmp_path / "documented_run_fn.py"
    module.write_text(textwrap.dedent("\n\n".join(lines)))
    folders = {name: str(data.root / name) for name in ("model", "model_run", "transform_graph", "schema")}
    examples = str(data.root / "transformed_examples")
    executor.run(**folders, examples=examples, module_file=str(module), train_args='{"num_steps": 20}')
    loaded = tf.saved_model.load(str(Model(Path(folders["model"])).serving))
    columns = data.transformed("eval")
    rows = {name: tf.cast(columns[name][:5], tf.float32) for name in columns if name != "species_xf"}
    assert loaded.serve(rows).shape == (5, 3)
