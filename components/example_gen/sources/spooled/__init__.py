"""Rows that a service gives once, or never the same again: kept below a folder that lasts, and read from there.

folder.py is where, local or an object store; spool.py what is kept, by its content; opening.py reads it by its format.
"""
