"""Rows of an HTTP API. source.py reads them; walk.py goes from page to page, and keeps what it reads."""
