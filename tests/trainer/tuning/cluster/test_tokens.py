"""The token of a search: who may read it, and what a chief that is started again finds."""

import stat
from pathlib import Path

import pytest

from penstock.trainer.tuning.cluster import tokens


def test_only_this_account_may_read_a_searchs_token(tmp_path: Path) -> None:
    assert tokens.read(tmp_path) == ""
    token = tokens.make(tmp_path)
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) > 40
    assert tokens.new() != token


def test_a_chief_that_is_started_again_has_the_same(tmp_path: Path) -> None:
    assert tokens.make(tmp_path) == tokens.make(tmp_path) == tokens.read(tmp_path)


def test_who_starts_the_machines_may_give_them_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tokens.VARIABLE, "given")
    assert tokens.make(tmp_path) == tokens.read(tmp_path) == "given"
    assert list(tmp_path.iterdir()) == [], "a secret of theirs is written nowhere"
