"""Rules that mend data, and what was learned for them: applied to examples in a pipeline, and to requests at serving.

rules.py          the rules, as a person names them; parsing.py reads them, expressions.py those of several columns
rows.py           rows on their way through the rules, and what became of each
steps.py          applies one rule; texts.py, numbers.py and checks.py hold the rules themselves, as array operations
cleaning.py       all rules with what was learned, as cleaning.json holds it
serving.py        what of it is applied to serialized tf.Examples before a model sees them

rules.py, parsing.py and expressions.py need the standard library alone; the others pyarrow and numpy, and nothing more.
"""
