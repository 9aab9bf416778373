"""Predicts whether a flight arrives late: preprocessing and a small Keras 3 network.

It runs unchanged in Penstock and in TFX.
"""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

LABEL = "late"
NUMBERS = ["dep_delay", "distance", "sched_dep_time", "sched_arr_time"]
BUCKETS = {"month": 12}
CATEGORIES = ["carrier", "origin", "dest", "tailnum"]
VOCABULARY_SIZE = 1000
OOV_BUCKETS = 1
BATCH_SIZE = 512


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Standardises numbers, buckets the month, and replaces categories by their index in a vocabulary."""
    outputs = {LABEL: inputs[LABEL]}
    for name in NUMBERS:
        outputs[name] = tft.scale_to_z_score(tf.cast(inputs[name], tf.float32))
    for name, count in BUCKETS.items():
        outputs[name] = tft.bucketize(inputs[name], num_buckets=count)
    for name in CATEGORIES:
        outputs[name] = tft.compute_and_apply_vocabulary(
            inputs[name], top_k=VOCABULARY_SIZE, num_oov_buckets=OOV_BUCKETS, vocab_filename=name
        )
    return outputs


def build_model() -> keras.Model:
    inputs = {name: keras.Input((1,), name=name, dtype="float32") for name in NUMBERS}
    inputs |= {name: keras.Input((1,), name=name, dtype="int64") for name in [*BUCKETS, *CATEGORIES]}
    sizes = {**BUCKETS, **dict.fromkeys(CATEGORIES, VOCABULARY_SIZE + OOV_BUCKETS)}
    embedded = [keras.layers.Flatten()(keras.layers.Embedding(size, 8)(inputs[name])) for name, size in sizes.items()]
    hidden = keras.layers.Concatenate()([*(inputs[name] for name in NUMBERS), *embedded])
    for units in (64, 32):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden))
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")])
    return model


def run_fn(fn_args: Any) -> None:
    """Trains for `train_steps` batches and exports two signatures, both of which take serialized tf.Examples."""
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)

    def dataset(files: list[str]) -> tf.data.Dataset:
        options = tfxio.TensorFlowDatasetOptions(batch_size=BATCH_SIZE, label_key=LABEL)
        return fn_args.data_accessor.tf_dataset_factory(files, options, transform.transformed_metadata.schema).repeat()

    model = build_model()
    model.fit(
        dataset(fn_args.train_files),
        steps_per_epoch=fn_args.train_steps,
        validation_data=dataset(fn_args.eval_files),
        validation_steps=fn_args.eval_steps,
        callbacks=[keras.callbacks.TensorBoard(fn_args.model_run_dir, update_freq="epoch")],
        verbose=2,
    )
    export(model, transform, fn_args.serving_model_dir)


def export(model: keras.Model, transform: tft.TFTransformOutput, folder: str) -> None:
    model.transform = transform.transform_features_layer()  # the SavedModel takes its vocabularies along
    features = transform.raw_feature_spec()
    serving_features = {name: spec for name, spec in features.items() if name != LABEL}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed = model.transform(tf.io.parse_example(examples, serving_features))
        return {"probability": model({name: transformed[name] for name in [*NUMBERS, *BUCKETS, *CATEGORIES]})}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.transform(tf.io.parse_example(examples, features))

    signatures = {"serving_default": serving_default, "transform_features": transform_features}
    tf.saved_model.save(model, folder, signatures=signatures)
