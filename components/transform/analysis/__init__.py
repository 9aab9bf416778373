"""The analysis of tf.Transform in process: TFT's graph of analyzers, shard by shard."""
