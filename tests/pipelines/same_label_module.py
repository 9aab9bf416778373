"""A TFX user's module whose preprocessing_fn keeps the label's name: Yes and No become 1 and 0."""

import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

LABEL = "churn"


def preprocessing_fn(inputs):
    age = tft.scale_to_z_score(tf.cast(inputs["age"], tf.float32))
    return {"age": age, LABEL: tf.cast(inputs[LABEL] == "Yes", tf.int64)}


def run_fn(fn_args):
    transform = tft.TFTransformOutput(fn_args.transform_output)
    options = tfxio.TensorFlowDatasetOptions(batch_size=64, label_key=LABEL)
    schema = transform.transformed_metadata.schema
    data = fn_args.data_accessor.tf_dataset_factory(fn_args.train_files, options, schema).repeat()
    inputs = {"age": tf.keras.Input((1,), name="age")}
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(1, "sigmoid")(inputs["age"]))
    model.compile(tf.keras.optimizers.Adam(0.1), "binary_crossentropy")
    model.fit(data, steps_per_epoch=fn_args.train_steps, verbose=2)
    model.transform = transform.transform_features_layer()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        features = tf.io.parse_example(examples, {"age": transform.raw_feature_spec()["age"]})
        return {"outputs": model({"age": model.transform(features)["age"]})}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(examples):
        return model.transform(tf.io.parse_example(examples, transform.raw_feature_spec()))

    signatures = {"serving_default": serve, "transform_features": transform_features}
    tf.saved_model.save(model, fn_args.serving_model_dir, signatures=signatures)
