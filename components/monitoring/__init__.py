"""What monitoring is made of: a library, and no component.

measures/   how far a window is from the training data: arithmetic on arrays and counts
windows/    the requests of a window, decoded with the schema
predictions.py  a model's answers as columns    sensitivity.py  how the rate of false alarms is shared
kinds.py        what the schema says of features
words.py        how measures are called
"""
