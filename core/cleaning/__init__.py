"""Rules that mend data, and what was learned for them: applied to examples in a pipeline, and to requests at serving.

rules.py          the rules, as a person names them; expressions/ are those of several columns
parsing.py        reads them; patterns.py says what RE2 takes, contradictions.py what leaves nothing together
fitting.py        whether they fit the columns that there are
rows.py           rows on their way through the rules, and what became of each
steps.py          applies one rule; texts.py, numbers.py and expressions/checks.py do it, as array operations
cleaning.py       all rules with what was learned, as cleaning.json holds it
serving.py        what of it is applied to serialized tf.Examples before a model sees them

What reads rules and checks them needs the standard library alone, the rest pyarrow and numpy, and nothing more.
"""
