"""TFMA's own computations, fed with batches, and fixes of their defects."""
