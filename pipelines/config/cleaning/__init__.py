"""The cleaning section: rules that mend the examples before anything is learned from them.

cleaning:
  rules:
    - {rule: duplicates}
    - {rule: range, columns: [fare], min: 0, otherwise: drop}
    - {rule: missing, columns: [fare], action: median}

What each rule takes and does: penstock.core.cleaning.rules, docs/cleaning.md.
"""

from penstock.pipelines.config.cleaning.section import Cleaning

__all__ = ["Cleaning"]
