"""Delta Lake tables: a version of one, whose data files are read apart."""
