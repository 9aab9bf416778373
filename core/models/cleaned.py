"""The rules of cleaning that go with a model: what its rows go through before it is asked."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.artifacts import SavedModel
from penstock.core.errors import ModelError

if TYPE_CHECKING:
    from penstock.core.cleaning.serving import Cleaner


def cleaner(folder: Path) -> "Cleaner | None":
    """Returns what cleans the rows of a SavedModel, None of one that takes them as they are.

    Raises a DataError for a file that is damaged, and a ModelError where pyarrow is not installed, which cleaning takes
    and a model does not.
    """
    path = SavedModel(folder).cleaning
    if not path.is_file():
        return None
    if importlib.util.find_spec("pyarrow") is None:
        raise ModelError(f"{path}: rows are cleaned before this model is asked, which takes pyarrow: install it here")
    from penstock.core.cleaning.serving import Cleaner

    return Cleaner.beside(path)
