"""The rules of cleaning beside a model: found, or told that they cannot be applied here."""

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

from penstock.core.artifacts import SavedModel
from penstock.core.cleaning import cleaning, parsing
from penstock.core.errors import ModelError
from penstock.core.models import cleaned


def test_a_model_without_rules_has_no_cleaner(tmp_path: Path) -> None:
    assert cleaned.cleaner(tmp_path) is None


def test_rules_are_found_and_told_of_where_pyarrow_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = cleaning.of(parsing.rules([{"rule": "range", "columns": ["x"], "min": 0}]), {"x": "float"})
    rules.write(SavedModel(tmp_path).cleaning)
    found = cleaned.cleaner(tmp_path)
    assert found is not None
    assert found.cleaning == rules

    find = importlib.util.find_spec

    def without_pyarrow(name: str, package: str | None = None) -> importlib.machinery.ModuleSpec | None:
        return None if name == "pyarrow" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_pyarrow)
    with pytest.raises(ModelError, match="rows are cleaned before this model is asked, which takes pyarrow"):
        cleaned.cleaner(tmp_path)
