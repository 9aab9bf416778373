"""How commands answer: the answer itself, its two renderings, and the documented form of the second, which is JSON."""
