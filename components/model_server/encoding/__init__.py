"""From JSON's rows and columns to a signature's inputs, and from its outputs back to JSON.

codec.py makes the codec of a signature when a model is loaded: rows.py and wire.py write tf.Examples for a signature
that parses them, tensors.py arrays for any other, answers.py what comes back.
"""
