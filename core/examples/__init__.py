"""tf.Examples and their way between records and Arrow batches."""
