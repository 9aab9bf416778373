"""Tables and queries of PostgreSQL, MySQL and MariaDB, SQLite and DuckDB.

source.py finds what there is and reads it; statements.py writes the SQL; ranges.py cuts a table by a key, copies.py by
its rows, which readers.py reads over several connections; databases/ has a module for each kind of database.
"""
