"""Labels that come later than the requests they are of, joined by key.

source.py  which files, which columns    files.py  what is in them    table.py  all labels, and which rows they are of
"""
