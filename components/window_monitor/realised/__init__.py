"""How good the model was in a window, from labels that have come since. It computes what the Evaluator computes.

question.py      which metrics and slices    label_codes.py   labels as the evaluation compares them
rows.py          the window's rows with their labels    accumulation.py  what adds up, and intervals
measuring.py     a window measured    late.py          windows of the history whose labels may still come
"""
