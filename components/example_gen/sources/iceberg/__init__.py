"""Tables of Apache Iceberg: a snapshot of one, whose data files are read apart."""
