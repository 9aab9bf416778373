"""Expressions over the columns of a row, such as `trip_seconds > 0 or fare == 0`.

syntax.py   what a person may write
kinds.py    whether the columns, numbers and texts in it go together
checks.py   computes it on rows, by Arrow's array functions; the others need the standard library alone
"""
