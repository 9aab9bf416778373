"""What a credential is, by its name and by its shape, and how one is masked.

names.py    telling names: password, api_key            shapes.py   URLs with passwords, bearer tokens, formats of keys
masks.py    masks them in texts, values and streams     escapes.py  texts with %3D and \\u0026, in their plain form
"""
