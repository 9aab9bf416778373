"""What a rule is, and what it finds."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from penstock.core.files.yaml_documents import Location
from penstock.pipelines.lint.pipeline import Pipeline

type Severity = Literal["error", "warning"]
CLUSTERS = ("kubeflow", "vertex")
EVERYWHERE = ("local", *CLUSTERS)


class Broken(NamedTuple):
    """A place where a rule is broken: the task, parameter or image, "" for the pipeline itself; what is wrong and what
    to do, in a sentence; where in the file it stands, its document's number first."""

    name: str
    sentence: str
    path: Location


@dataclass(frozen=True)
class Finding:
    """A place where a rule is broken, for a target: an error bites there, a warning on another one only."""

    rule: str
    name: str
    sentence: str
    severity: Severity = "error"
    path: Location = field(default=(), compare=False)

    @property
    def tag(self) -> str:
        """What allows this one finding."""
        return f"{self.rule}:{self.name}" if self.name else self.rule

    def __str__(self) -> str:
        return f"{self.sentence} [{self.tag}]"


Find = Callable[[Pipeline], Iterator[Broken]]


@dataclass(frozen=True)
class Rule:
    """Finds the places where a pipeline breaks it.

    Args:
        targets: Where it is told of.
        bites: Where what breaks it goes wrong; elsewhere it is a warning.
    """

    id: str
    meaning: str
    targets: tuple[str, ...]
    bites: tuple[str, ...]
    find: Find

    def severity(self, target: str) -> Severity:
        """Returns how bad it is on a target."""
        return "error" if target in self.bites else "warning"

    def apply(self, pipeline: Pipeline, target: str) -> Iterator[Finding]:
        for broken in self.find(pipeline):
            yield Finding(self.id, broken.name, broken.sentence, self.severity(target), broken.path)


def rule(
    identity: str, targets: tuple[str, ...] = EVERYWHERE, bites: tuple[str, ...] = EVERYWHERE
) -> Callable[[Find], Rule]:
    """Makes a rule of a function; the function's docstring is the rule's meaning in one sentence."""

    def make(find: Find) -> Rule:
        return Rule(identity, " ".join((inspect.getdoc(find) or "").split()), targets, bites, find)

    return make
