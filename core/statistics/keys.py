"""Which integers are keys, of which a model learns nothing, and which are measured. Standard library only."""

import re
from dataclasses import dataclass

SOME_ROWS = 20
_NEARLY = 0.9  # of a key's integers differ
_CHANCE = 100  # integers from which on chance does not make all of them differ
_NEAR = 4  # so many times as wide apart: every ninth of them would meet another one
_BY_CHANCE = 10  # that would be there again, if chance had its way, to each that is
_NAMES = re.compile(r"(?i)(?:^|[_.\s-])(?:id|key|uid|uuid|guid|hash)$|(?<=[a-z])(?-i:Id|ID|Key|Hash)$")
# One for each row, and yet more than its number.
_NAMES_OF_ORDER = re.compile(
    r"(?i)year|month|week|day|hour|minute|second|time|date|stamp|epoch|elapsed|period|step|rank|cumul"
)


@dataclass(frozen=True)
class Integers:
    """What is known of a column of integers, one in a row.

    Args:
        name: The column's.
        values: How many there are.
        distinct: How many different ones.
        all_differ: Whether none is there twice, as far as it is known.
        span: How many integers there are from the least to the greatest.
        are_moments: Whether they may be moments of plausible years.
        repeated: The share of the distinct ones that are there more than once; None if it is not known.
        sample: Of how many distinct ones that share is.
    """

    name: str
    values: int
    distinct: int
    all_differ: bool
    span: int
    are_moments: bool
    repeated: float | None
    sample: int

    @property
    def are_keys(self) -> bool:
        """Whether they differ as keys do, and not as measures: nearly all of them do, and they are called keys, or lie
        close, or have less in common than chance would have it.
        """
        if self.values < SOME_ROWS or self.distinct < _NEARLY * self.values:
            return False
        if _NAMES.search(self.name):
            return True
        if self.values < _CHANCE or _NAMES_OF_ORDER.search(self.name):
            return False
        return (self.all_differ and self.span <= _NEAR * self.values) or self._differ_by_intent

    @property
    def _differ_by_intent(self) -> bool:
        """Whether so few are there again that nothing measured is like it, also where keys have gaps.

        Of n integers that are drawn at random from a span, n / (2 span) are there more than once; of a measure, whose
        values crowd, even more. Moments differ because each row is one.
        """
        if self.repeated is None or self.are_moments:
            return False
        by_chance = self.sample * self.values / (2 * self.span)
        return by_chance >= _BY_CHANCE * (1 + self.repeated * self.sample)
