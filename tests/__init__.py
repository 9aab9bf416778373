"""A package, so that it comes before what others install under this name."""
