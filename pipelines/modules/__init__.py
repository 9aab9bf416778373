"""The code that a pipeline trains with: the user's module, read and published, or the default trainer's."""
