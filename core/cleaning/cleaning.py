"""All rules with what was learned for them: what cleaning.json holds, and a server applies."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa

from penstock.core.arguments import check_list, check_object
from penstock.core.cleaning import fitting, parsing, steps
from penstock.core.cleaning.rows import Rows
from penstock.core.cleaning.rules import Convert, Missing, Reference, Rule, Type
from penstock.core.cleaning.steps import Step
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import atomic, documents

_VERSION = 1


@dataclass(frozen=True)
class Cleaning:
    """Rules in their order, and the types of the columns before any of them, by name."""

    steps: tuple[Step, ...]
    types: Mapping[str, Type]

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(step.rule for step in self.steps)

    @cached_property
    def types_before(self) -> list[dict[str, Type | None]]:
        """The types of the columns before each rule, and after the last one."""
        return fitting.types_before(self.rules, self.types)

    def with_learned(self, learned: Mapping[int, Mapping[str, Any]]) -> "Cleaning":
        """Returns the rules with what was learned for some of them, by their places."""
        known = enumerate(self.steps)
        return replace(self, steps=tuple(Step(step.rule, learned.get(index, step.learned)) for index, step in known))

    def apply(self, index: int, rows: Rows, serving: bool = False) -> None:
        """Applies one rule to rows, which change."""
        steps.apply(self.steps[index], rows, self.types_before[index], serving)

    @cached_property
    def served(self) -> list[int]:
        """The places of the rules that a server applies."""
        return [index for index, rule in enumerate(self.rules) if rule.at_serving]

    def serve(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Returns rows as a server cleans them: as many, in their order. Rules that drop rows do nothing to them.

        The batch itself if there is nothing to clean.

        Raises a DataError if the rows do not have the types that an expression takes.
        """
        rows = Rows.of(batch, records=False)
        for index in self.served:
            self.apply(index, rows, serving=True)
        return rows.batch() if rows.is_touched else batch

    @property
    def reads(self) -> dict[str, Type]:
        """The columns that rules need when they serve, with their types: a request may have them beside the model's."""
        needed = [rule for rule in self._served_rules if not _leaves_out(rule)]
        names = dict.fromkeys(name for rule in needed for name in rule.reads)
        return {name: self.types[name] for name in names if name in self.types}

    @property
    def filled(self) -> set[str]:
        """The columns that a server fills, so that a request may lack them."""
        return {
            name for rule in self._served_rules if isinstance(rule, Missing) and rule.fills for name in rule.columns
        }

    @property
    def made(self) -> set[str]:
        """The columns that rules add, so that a request has none of them."""
        return {name for rule in self._served_rules for name in rule.flags}

    @property
    def converted(self) -> set[str]:
        """The columns of which a request may hold texts where the model takes numbers."""
        convert = [rule for rule in self._served_rules if isinstance(rule, Convert) and rule.to != "text"]
        return {name for rule in convert for name in rule.columns if self.types.get(name) == "text"}

    @property
    def _served_rules(self) -> list[Rule]:
        return [self.rules[index] for index in self.served]

    def write(self, path: Path) -> None:
        """Writes the rules as JSON, the same for the same rules; beside each what a server does with it.

        It is all that a server needs: of a file of references it has the values, and no more than the name.
        """
        rules = [
            parsing.to_json(step.rule)
            | ({"file": PurePath(step.rule.file).name} if isinstance(step.rule, Reference) else {})
            | ({"learned": dict(step.learned)} if step.learned else {})
            | {"serving": step.rule.not_at_serving or "applied"}
            for step in self.steps
        ]
        content = {"version": _VERSION, "types": dict(sorted(self.types.items())), "rules": rules}
        atomic.write_text(path, documents.json_text(content, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Cleaning":
        """Reads what `write` has written; a DataError for a file that is damaged, or of a later version."""
        try:
            content = documents.parse_json(path.read_text(encoding="utf-8"))
            values = check_object("cleaning", content)
            if values.get("version") != _VERSION:
                raise ConfigError(f"expected version {_VERSION}, received {values.get('version')!r}")
            listed = [check_object("rule", item) for item in check_list("rules", values["rules"])]
            rules = parsing.rules([_rule(item) for item in listed])
            pairs = list(zip(rules, listed, strict=True))
            without = next((rule for rule, item in pairs if rule.needs_learned and "learned" not in item), None)
            if without:
                raise ConfigError(f"expected what was learned for {without.name!r}")
            return cls(tuple(Step(rule, item.get("learned", {})) for rule, item in pairs), values["types"])
        except (ValueError, KeyError, TypeError, ConfigError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: expected rules that ExampleCleaner has written: {error}") from None


def _leaves_out(rule: Rule) -> bool:
    return isinstance(rule, Missing) and rule.action == "drop_column"


def _rule(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in ("learned", "serving")}


def of(rules: tuple[Rule, ...], types: Mapping[str, Type]) -> Cleaning:
    """Returns rules for which nothing is learned yet."""
    return Cleaning(tuple(Step(rule) for rule in rules), types)
