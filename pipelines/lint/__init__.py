"""What a compiled pipeline may not do: what a runner gets silently wrong, and what a server refuses.

    conditions.py   what `dsl.If` compares             graph.py       loops, sub-pipelines, the kinds of components
    values.py       constants: their size, python3     secrets.py     passwords and tokens among them
    artifacts.py    what tasks take
    evaluation.py   gates that never open              platforms.py   images, accelerators, Kubernetes' settings, sizes
    stores.py       credentials of buckets             places.py      what tasks read or write themselves, for stores.py

A rule (rule.py) has a stable id, one sentence and the targets that it holds for. Pipelines are meant to run unchanged
everywhere, so what is silently wrong on one runner is told for all: as an error where it bites, elsewhere as a warning.
pipelines/cli/output/lint_report.py renders findings. Every one ends with [ID:NAME]; either ID or ID:NAME allows it, for
who knows better. docs/lint.md lists the rules: `python -m penstock.pipelines.lint` writes it.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean
from penstock.pipelines.lint import artifacts, conditions, evaluation, graph, platforms, secrets, stores, values
from penstock.pipelines.lint.pipeline import Pipeline
from penstock.pipelines.lint.rule import Finding, Rule
from penstock.pipelines.targets.target import Target

RULES: tuple[Rule, ...] = (
    *conditions.RULES,
    *graph.RULES,
    *artifacts.RULES,
    *values.RULES,
    *secrets.RULES,
    *evaluation.RULES,
    *platforms.RULES,
    *stores.RULES,
)


def findings(
    documents: Sequence[Mapping[str, Any]],
    target: Target,
    allowed: Collection[str] = (),
    parameters: Mapping[str, Any] = MappingProxyType({}),
) -> list[Finding]:
    """Returns what breaks a rule of the target, in the rules' order, nothing twice.

    Args:
        documents: The pipeline's spec and, if there is one, its platform's.
        target: Where the pipeline is to run.
        allowed: Rules' ids (`large-spec`), or ids with what may break them (`plain-secret:db_password`).
        parameters: What a run of the pipeline is given; what is not here has its default.

    Raises a ConfigError for what is no compiled pipeline, and for an id that no rule has.
    """
    _check_ids(allowed)
    pipeline = Pipeline.of(documents, parameters)
    rules = [rule for rule in RULES if target.name in rule.targets and rule.id not in allowed]
    broken = dict.fromkeys(finding for rule in rules for finding in rule.apply(pipeline, target.name))
    return [finding for finding in broken if finding.tag not in allowed]


def check(
    documents: Sequence[Mapping[str, Any]],
    target: Target,
    allowed: Collection[str] = (),
    parameters: Mapping[str, Any] = MappingProxyType({}),
) -> list[Finding]:
    """Raises a ConfigError that says what goes wrong on the target, if anything; returns the warnings."""
    broken = findings(documents, target, allowed, parameters)
    sentences = [str(finding) for finding in broken if finding.severity == "error"]
    if len(sentences) == 1:
        raise ConfigError(sentences[0])
    if sentences:
        raise ConfigError(f"the pipeline breaks {len(sentences)} rules", "\n".join(sentences))
    return broken


def _check_ids(allowed: Collection[str]) -> None:
    known = [rule.id for rule in RULES]
    for entry in allowed:
        rule = entry.partition(":")[0]
        if rule not in known:
            raise ConfigError(f"no lint rule {rule!r} to allow; {did_you_mean(rule, known)}")
