"""The first rows of every place of the data, as they are read there."""
