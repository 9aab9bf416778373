"""The page of a window: what moved, how features are distributed, and the windows before.

page.py  the whole    figures.py  distributions side by side    history.py  measures from window to window
"""
