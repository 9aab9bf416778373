"""Writes docs/lint.md, the list of rules: `python -m penstock.pipelines.lint`."""

from pathlib import Path

from penstock.pipelines.lint import RULES
from penstock.pipelines.lint.rule import EVERYWHERE

FILE = Path(__file__).resolve().parents[2] / "docs" / "lint.md"
_ABOUT = """<!-- Generated from the rules: python -m penstock.pipelines.lint -->
# What `penstock lint` finds

`penstock compile`, `run` and `submit` refuse a pipeline that breaks a rule; `penstock lint FILE --target TARGET` checks
any pipeline that KFP compiled. What is silently wrong on one runner is told for every target, so that a pipeline means
the same everywhere.

A finding ends with what allows it: `[plain-secret:db_password]`. Who knows better lets one pass, or all of a rule:

```sh
penstock lint compiled.yaml --allow plain-secret:db_password --allow large-spec
```

```yaml
# pipeline.yaml
lint: {allow: ["plain-secret:custom_config.db.password"]}
```

`penstock submit` of a compiled file checks it for its target; there it is `--set "lint.allow=[large-spec]"`.

| rule | what breaks it | targets |
| --- | --- | --- |
"""


def text() -> str:
    """Returns docs/lint.md: a row for each rule."""
    rows = [
        f"| `{rule.id}` | {rule.meaning} | {'all' if rule.targets == EVERYWHERE else ', '.join(rule.targets)} |\n"
        for rule in RULES
    ]
    return _ABOUT + "".join(rows)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
