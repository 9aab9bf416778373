"""The plans of tables of tests."""

from typing import Any

from penstock.trainer.plan import plan as plans
from penstock.trainer.plan.features import Feature


def plan(table: Any, label: str, problem: str | None = None, **overrides: dict[str, Any]) -> plans.Plan:
    return plan_with(table, label, overrides, problem)


def plan_with(table: Any, label: str, overrides: dict[str, Any], problem: str | None = None) -> plans.Plan:
    return plans.plan(table.schema, table.statistics, label, plans.overrides(overrides), problem)


def by_output(made: plans.Plan) -> dict[str, Feature]:
    return {feature.output: feature for feature in made.features}
