"""Writes docs/lint.md, the list of rules: `python -m penstock.pipelines.lint`."""

from pathlib import Path

from penstock.pipelines.lint import RULES
from penstock.pipelines.lint.rule import EVERYWHERE, Rule, Severity

FILE = Path(__file__).resolve().parents[2] / "docs" / "lint.md"
_ABOUT = """<!-- Generated from the rules: python -m penstock.pipelines.lint -->
# What `penstock lint` finds

`penstock compile`, `run` and `submit` refuse a pipeline that breaks a rule; `penstock lint FILE --target TARGET` checks
any pipeline that KFP compiled. What is silently wrong on one runner is told for every target, so that a pipeline means
the same everywhere: as an error where it goes wrong, which fails the file with exit code 2, and elsewhere as a warning.

```text
compiled.yaml:31: error: image registry.example/python: without a tag a node may run any version of it: add :TAG or …
compiled.yaml:214: warning: condition-1: a float compared with the int 1 is always False in a local run: write 1.0 …
```

`--format json` (or `--json`, [scripts.md](scripts.md)) writes the same for programs, and `--format sarif` as SARIF
2.1.0, which code hosts show beside the lines.

A finding ends with what allows it: `[plain-secret:db_password]`. Who knows better lets one pass, or all of a rule:

```sh
penstock lint compiled.yaml --allow plain-secret:db_password --allow large-spec
```

```yaml
# pipeline.yaml
lint: {allow: ["plain-secret:custom_config.db.password"]}
```

`penstock submit` of a compiled file checks it for its target; there it is `--set "lint.allow=[large-spec]"`.

| rule | what breaks it | error for | warning for |
| --- | --- | --- | --- |
"""


def text() -> str:
    """Returns docs/lint.md: a row for each rule."""
    rows = [
        f"| `{rule.id}` | {rule.meaning} | {_targets(rule, 'error')} | {_targets(rule, 'warning')} |\n"
        for rule in RULES
    ]
    return _ABOUT + "".join(rows)


def _targets(rule: Rule, severity: Severity) -> str:
    named = tuple(target for target in rule.targets if rule.severity(target) == severity)
    return "all" if named == EVERYWHERE else ", ".join(named)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
