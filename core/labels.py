"""What a label is: whether its values are classes or numbers to predict, decided here for every component.

Strings are classes, two of them binary. So are numbers of which there are exactly two, and integers that span up to
FEW_CLASSES values. A model without code is trained on integers as classes only where there are rows enough for each,
else as on all other numbers: as a regression. The trainer decides (trainer/plan/labels.py), or a person by
`training.problem`; ExampleGen and ExampleValidator look before for classes that a split lacks. Standard library only.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from penstock.core.artifacts import SavedModel
from penstock.core.files import atomic

Problem = Literal["binary", "multiclass", "regression"]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)
FEW_CLASSES = 20  # so many integers, from the least to the greatest, are taken for classes
MOST_CLASSES = 1000  # of strings, or of integers that a person says are classes
ROWS_FOR_A_CLASS = 10  # on average, for integers to be trained on as classes


@dataclass(frozen=True)
class Values:
    """What is known of a label's values in some rows.

    Args:
        kind: Of what type they are.
        two: Whether there are exactly two different ones.
        least, greatest: Of numbers; `int` of integers, as doubles round those beyond 2**53.
    """

    kind: Literal["string", "integer", "float"]
    two: bool = False
    least: int | float = 0
    greatest: int | float = 0

    @property
    def span(self) -> int:
        """How many integers there are from the least to the greatest."""
        return int(self.greatest) - int(self.least) + 1

    @property
    def are_classes(self) -> bool:
        """Whether the values may be classes; else they are numbers to predict."""
        return self.kind == "string" or self.two or (self.kind == "integer" and self.span <= FEW_CLASSES)

    def problem(self, rows: int) -> Problem:
        """Returns what the values of so many rows ask for where no person says it."""
        if self.two:
            return "binary"
        if self.kind == "string" or (self.are_classes and rows >= ROWS_FOR_A_CLASS * self.span):
            return "multiclass"
        return "regression"


@dataclass(frozen=True)
class Label:
    """What a model without code predicts. `classes` in their order, as the data has them; none of a regression.

    Transformed it is float32 [batch, 1], 0 or 1 (binary) or the value (regression), or int64 [batch, 1], the index of
    the class. Where it is missing, or no class of the training data, it is NaN, or -1.
    """

    name: str
    output: str
    problem: Problem
    classes: tuple[str | int | float, ...] = ()

    def write(self, saved_model: Path) -> None:
        """Puts it beside a SavedModel's graph, whose outputs do not name the classes of two."""
        atomic.write_text(SavedModel(saved_model).label, json.dumps(asdict(self), ensure_ascii=False))

    @classmethod
    def read(cls, saved_model: Path) -> "Label | None":
        """Returns the label of a model without code; None of any other."""
        path = SavedModel(saved_model).label
        if not path.is_file():
            return None
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "classes": tuple(fields["classes"])})
