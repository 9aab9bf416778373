"""The bearer token: where it comes from, and what happens when its file changes."""

import os
from pathlib import Path

import pytest

from penstock.components.model_server.operation import settings, tokens
from penstock.core.errors import ConfigError


def test_a_token_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVING_TOKEN", "correct-horse\n")
    accepted = tokens.Tokens(settings.Token(variable="SERVING_TOKEN"))
    assert accepted.accept(b"Bearer correct-horse")
    assert accepted.accept(b"bearer  correct-horse ")
    for wrong in (None, b"", b"Bearer", b"Bearer ", b"Bearer correct-hors", b"Basic correct-horse", b"correct-horse"):
        assert not accepted.accept(wrong)


def test_each_line_of_a_file_is_a_token_and_a_changed_file_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Kubernetes changes a mounted secret by pointing a link at another folder."""
    monkeypatch.setattr(tokens, "_AGAIN", 0.0)
    for name, text in (("one", "first-token\n"), ("two", "second-token\n\nfirst-token\n"), ("three", "\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(text)
    current = tmp_path / "..data"
    current.symlink_to("one")
    accepted = tokens.Tokens(settings.Token(file=current / "token"))
    assert (accepted.accept(b"Bearer first-token"), accepted.accept(b"Bearer second-token")) == (True, False)

    _point(current, "two")
    assert accepted.accept(b"Bearer first-token")
    assert accepted.accept(b"Bearer second-token")

    _point(current, "three")
    assert accepted.accept(b"Bearer second-token")
    current.unlink()
    assert accepted.accept(b"Bearer second-token")
    assert "found none: the tokens that it had are accepted still" in caplog.text
    assert "cannot be read: No such file or directory" in caplog.text
    assert "first-token" not in caplog.text


def _point(link: Path, target: str) -> None:
    link.with_name("..new").symlink_to(target)
    os.replace(link.with_name("..new"), link)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "token file {file} cannot be read: No such file or directory"),
        (b"", "token: expected a token in the file {file}, found none"),
        (b"abc", "token: expected at least 8 ASCII characters without spaces in each line of the file {file}"),
        ("gehütet-gehütet".encode(), "token: expected at least 8 ASCII characters without spaces in each line of"),
        (b"\xff\xfe", "token file {file}: expected UTF-8 text, found UTF-16: save it as UTF-8"),
    ],
)
def test_a_file_without_a_token_is_refused_in_a_sentence(tmp_path: Path, text: bytes | None, sentence: str) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(ConfigError) as error:
        tokens.Tokens(settings.Token(file=file))
    assert sentence.format(file=file) in error.value.message


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(ConfigError, match="expected a token in the variable NO_SUCH_TOKEN, found none"):
        tokens.Tokens(settings.Token(variable="NO_SUCH_TOKEN"))
