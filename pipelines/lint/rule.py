"""What a rule is, and what it finds."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from penstock.pipelines.lint.pipeline import Pipeline

CLUSTERS = ("kubeflow", "vertex")
EVERYWHERE = ("local", *CLUSTERS)


@dataclass(frozen=True)
class Finding:
    """A place where a rule is broken: `name` is the task, parameter or image, "" for the pipeline itself."""

    rule: str
    name: str
    sentence: str

    @property
    def tag(self) -> str:
        """What allows this one finding."""
        return f"{self.rule}:{self.name}" if self.name else self.rule

    def __str__(self) -> str:
        return f"{self.sentence} [{self.tag}]"


Find = Callable[[Pipeline], Iterator[tuple[str, str]]]


@dataclass(frozen=True)
class Rule:
    """Yields, for each place where a pipeline breaks it, the name there and a sentence: what is wrong, what to do."""

    id: str
    meaning: str
    targets: tuple[str, ...]
    find: Find

    def apply(self, pipeline: Pipeline) -> Iterator[Finding]:
        for name, sentence in self.find(pipeline):
            yield Finding(self.id, name, sentence)


def rule(identity: str, targets: tuple[str, ...] = EVERYWHERE) -> Callable[[Find], Rule]:
    """Makes a rule of a function; the function's docstring is the rule's meaning in one sentence."""

    def make(find: Find) -> Rule:
        return Rule(identity, " ".join((inspect.getdoc(find) or "").split()), targets, find)

    return make
