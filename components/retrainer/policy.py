"""When a model is trained anew, as JSON: on which signals, how often at most, and whether a person is asked.

{"drift": 2, "max_age": "30d", "cool_down": "1d", "max_per_week": 2, "approval": true}
"""

import dataclasses
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ConfigDict, TypeAdapter, ValidationError

from penstock.components.monitoring.windows.window import duration
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError
from penstock.core.files.documents import json_text
from penstock.core.page import numbers

BUDGET = timedelta(days=30)  # what `budget_hours` is for
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Policy:
    """When a model is trained anew.

    Args:
        drift: Above which sum of importance times shift, over the features that alert: a shift is how many thresholds
            the measure is, and importance is a share of the most important feature's. None: drift is no signal.
        performance_loss: By more than which share of the evaluation's value the estimated or realised performance is
            worse, with the whole of its interval. None: only performance that alerts is a signal.
        performance_limits: Values that metrics are not to be on the bad side of, by their names.
        max_age: How old a model may get, such as 30d; "" for any age.
        new_spans: From how many spans on that the model was not trained on; 0: they are no signal.
        new_rows: From how many rows on, counted by the size of the files; 0: they are no signal.
        cool_down: How long after a retraining there is no other; "" for no time.
        max_per_week: How many there are in seven days; None for any number.
        budget_hours: How many hours their runs take together in thirty days; None for any number.
        approval: Whether a person is asked.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    drift: float | None = 2.0
    performance_loss: float | None = 0.1
    performance_limits: dict[str, float] = field(default_factory=dict)
    max_age: str = ""
    new_spans: int = 0
    new_rows: int = 0
    cool_down: str = "1d"
    max_per_week: int | None = 2
    budget_hours: float | None = None
    approval: bool = False


def read(text: str) -> Policy:
    """Returns the policy that the parameter holds; the default one for "". Raises a ConfigError for what is none."""
    values = parse_object("policy", text, example='{"drift": 2, "cool_down": "1d"}')
    try:
        policy = TypeAdapter(Policy).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"policy: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for name in ("max_age", "cool_down"):
        try:
            length(getattr(policy, name))
        except ConfigError as error:
            raise ConfigError(f"policy: {name}{error.message.removeprefix('window')}") from None
    return policy


def words(policy: Policy) -> str:
    """Returns a policy in the words of its keys: `drift: 2, cool_down: 1d, max_per_week: 2`; what is not set is not."""
    values = {name: value for name, value in dataclasses.asdict(policy).items() if value not in (None, "", 0, {})}
    return ", ".join(f"{name}: {_word(value)}" for name, value in values.items())


def _word(value: object) -> str:
    if isinstance(value, float):
        return numbers.number(value)
    return value if isinstance(value, str) else json_text(value)


def length(text: str) -> timedelta:
    """Returns how long `6h` or `30d` is; no time for ""."""
    return duration(text) if text else timedelta()
