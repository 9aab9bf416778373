"""FnArgs against TFX's own class."""

import dataclasses

import attr
from tfx.components.trainer import fn_args_utils as tfx

from penstock.trainer.data import reader
from penstock.trainer.fn_args import DataAccessor, FnArgs


def test_fields_are_tfx_in_order_and_none() -> None:
    theirs = [(field.name, field.default) for field in attr.fields(tfx.FnArgs)]
    ours = [(field.name, field.default) for field in dataclasses.fields(FnArgs)]
    assert ours == [*theirs, ("statistics_path", None), ("device", None)]
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
    assert accessor.tf_dataset_factory is reader.tf_dataset
    assert accessor.record_batch_factory is reader.record_batches
