"""The blessed models by what the Evaluator writes beside a blessing: which model it was, and when."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.core.artifacts import Model, SplitArtifact

# The beginnings of the names of folders that hold no blessings: hidden folders, splits of data, models.
NOT_SEARCHED = (".", SplitArtifact.SPLIT, Model.FORMAT)


@dataclass(frozen=True, order=True)
class Blessed:
    """A model that an Evaluator blessed; ordered by the time, then by the URI."""

    created: datetime
    uri: str


def parse(text: bytes) -> Blessed:
    """Reads a validation.json: its keys `blessed`, `model` and `created`; a ValueError says what is wrong with it.

    A time without a zone is taken as UTC.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("blessed") is not True:
        raise ValueError('expected "blessed": true, as the mark BLESSED says')
    uri, created = content.get("model"), content.get("created")
    if not isinstance(uri, str) or not uri or not isinstance(created, str):
        raise ValueError('expected "model", a URI, and "created", a time')
    time = datetime.fromisoformat(created)
    return Blessed(time if time.tzinfo else time.replace(tzinfo=UTC), uri)
