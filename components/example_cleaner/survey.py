"""What columns there are, and of which types: what rules are held against before they are applied."""

from dataclasses import dataclass, field

from penstock.components.example_cleaner.shards import Shard
from penstock.core.cleaning.rules import TYPE_WORDS, Type
from penstock.core.errors import DataError


@dataclass
class Survey:
    """The columns of some rows with their types, None of one without any value."""

    rows: int = 0
    types: dict[str, Type | None] = field(default_factory=dict)

    def add(self, name: str, kind: Type | None) -> None:
        known = self.types.get(name)
        if known and kind and known != kind:
            raise DataError(
                f"column {name!r} holds {TYPE_WORDS[known]} in some examples, {TYPE_WORDS[kind]} in others: "
                "expected one type"
            )
        self.types[name] = known or kind

    def merge(self, other: "Survey") -> "Survey":
        """Adds later rows, and returns this."""
        self.rows += other.rows
        for name, kind in other.types.items():
            self.add(name, kind)
        return self


def survey(shard: Shard) -> Survey:
    """Looks at the columns of a shard."""
    found = Survey()
    for examples, rows in shard.batches():
        found.rows += len(examples)
        for name in rows.columns:
            found.add(name, rows.type(name))
    return found
