"""`summary.json`: what came of an evaluation, for people and scripts."""
