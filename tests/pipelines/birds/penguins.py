"""Preprocessing and a small Keras network for the penguins. It runs unchanged in Penstock and in TFX."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

LABEL = "species"
LABEL_INDEX = "species_index"
NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
CATEGORIES = {"island": 3, "sex": 2}
BATCH_SIZE = 32


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Standardises the measurements, and replaces text by its index in a vocabulary learnt from the data."""
    outputs = {}
    for name in NUMBERS:
        number = tf.cast(inputs[name], tf.float32)
        outputs[name] = _dense(tft.scale_to_z_score(number), 0.0)  # a missing one becomes the mean
    for name in CATEGORIES:
        text = _dense(inputs[name], "")
        outputs[name] = tft.compute_and_apply_vocabulary(text, vocab_filename=name, num_oov_buckets=1)
    outputs[LABEL_INDEX] = tft.compute_and_apply_vocabulary(_dense(inputs[LABEL], ""), vocab_filename=LABEL)
    return outputs


def run_fn(fn_args: Any) -> None:
    """Trains for `train_steps` batches and exports two signatures, both of which take serialized tf.Examples."""
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)

    def dataset(files: list[str]) -> tf.data.Dataset:
        options = tfxio.TensorFlowDatasetOptions(batch_size=BATCH_SIZE, label_key=LABEL_INDEX)
        return fn_args.data_accessor.tf_dataset_factory(files, options, transform.transformed_metadata.schema).repeat()

    model = build_model(classes=transform.vocabulary_size_by_name(LABEL))
    model.fit(
        dataset(fn_args.train_files),
        steps_per_epoch=fn_args.train_steps,
        validation_data=dataset(fn_args.eval_files),
        validation_steps=fn_args.eval_steps,
        callbacks=[keras.callbacks.TensorBoard(fn_args.model_run_dir, update_freq="epoch")],
        verbose=2,
    )
    export(model, transform, fn_args.serving_model_dir)


def build_model(classes: int) -> keras.Model:
    inputs = {name: keras.Input((1,), name=name, dtype="float32") for name in NUMBERS}
    inputs |= {name: keras.Input((1,), name=name, dtype="int64") for name in CATEGORIES}
    features = [inputs[name] for name in NUMBERS]
    for name, size in CATEGORIES.items():
        # One place more than the vocabulary has, for text that it does not know, and one for missing text.
        features.append(keras.layers.CategoryEncoding(size + 2, output_mode="one_hot")(inputs[name]))
    hidden = keras.layers.Dense(16, activation="relu")(keras.layers.Concatenate()(features))
    model = keras.Model(inputs, keras.layers.Dense(classes, activation="softmax", name="probabilities")(hidden))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def export(model: keras.Model, transform: tft.TFTransformOutput, folder: str) -> None:
    model.transform = transform.transform_features_layer()  # the SavedModel takes its vocabularies along
    features = transform.raw_feature_spec()
    serving_features = {name: spec for name, spec in features.items() if name != LABEL}
    species = tf.constant(transform.vocabulary_by_name(LABEL))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed = model.transform(tf.io.parse_example(examples, serving_features))
        probabilities = model({name: transformed[name] for name in [*NUMBERS, *CATEGORIES]})
        return {"probabilities": probabilities, "species": tf.gather(species, tf.argmax(probabilities, axis=1))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.transform(tf.io.parse_example(examples, features))

    signatures = {"serving_default": serving_default, "transform_features": transform_features}
    tf.saved_model.save(model, folder, signatures=signatures)


def _dense(values: Any, missing: Any) -> tf.Tensor:
    """A column with one value in each row; features that are missing in some rows come as sparse tensors."""
    if not isinstance(values, tf.sparse.SparseTensor):
        return values
    rows = tf.sparse.SparseTensor(values.indices, values.values, [values.dense_shape[0], 1])
    return tf.sparse.to_dense(rows, missing)
