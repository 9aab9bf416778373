"""TFMA's own computations, fed with batches, and what is mended of them."""
