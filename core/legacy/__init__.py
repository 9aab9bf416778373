"""What user modules of older TensorFlows need: the Keras that they mean, and word of what there is no more."""
