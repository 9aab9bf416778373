"""The cleaning section: rules, and how many rows they may drop and change."""

import hashlib
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from penstock.core.cleaning import parsing
from penstock.core.cleaning.rules import Rule
from penstock.core.errors import ConfigError
from penstock.core.packages import is_inside
from penstock.pipelines.config.cleaning.rule import CleaningRule, Share
from penstock.pipelines.config.section import Section, existing_file, json_text

_FILE = "file"


class Cleaning(Section):
    """Rules by which examples are mended or dropped, in their order."""

    rules: list[CleaningRule] = Field(min_length=1, description="The rules, in the order in which they are applied.")
    max_quarantined: Share = Field(
        default=0.1, description="The largest share of a split's rows that may be dropped; more end the run."
    )
    max_changed: Share = Field(
        default=1.0, description="The largest share of a split's rows that may be changed; more end the run."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.check("")
        return self

    def check(self, label: str) -> None:
        """Raises a ValueError for rules that are wrong in themselves, or fill the label."""
        for rule in self.rules:
            if rule.file and not is_inside(rule.file):
                existing_file(rule.file)
        try:
            self.read(label)
        except ConfigError as error:
            raise ValueError(error.message) from None

    def read(self, label: str = "") -> tuple[Rule, ...]:
        """Returns the rules as they are applied; a ConfigError for one that is wrong in itself."""
        return parsing.rules([rule.model_dump(exclude_none=True) for rule in self.rules], label)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Every column that a rule names and none before it has made, with the key that does."""
        named: list[tuple[str, str]] = []
        made: set[str] = set()
        for index, rule in enumerate(self.read()):
            named += [(f"cleaning.rules[{index}]", name) for name in rule.reads if name not in made]
            made |= set(rule.flags)
        return named

    def arguments(self, label: str, train_splits: list[str]) -> dict[str, Any]:
        """Returns the component's arguments; a file of references on this machine enters by its digest as well."""
        rules = [rule.model_dump(exclude_none=True) for rule in self.rules]
        for rule in rules:
            path = Path(rule.get(_FILE, ""))
            if _FILE in rule and path.is_file():
                with open(path, "rb") as file:
                    rule["digest"] = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "rules": json_text(rules),
            "label": label,
            "train_splits": train_splits,
            "max_quarantined": self.max_quarantined,
            "max_changed": self.max_changed,
        }
