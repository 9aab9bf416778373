"""What is told of an error by TensorFlow."""

import pytest
import tensorflow as tf

from penstock.components.evaluator import diagnosis


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("a first line\nthe reason."), "the reason"),
        (tf.errors.NotFoundError(None, None, "no file {{node restore}} [Op:Restore]"), "no file"),
        (ValueError(""), "ValueError"),
        (tf.errors.AbortedError(None, None, " [[node]]"), "AbortedError"),
    ],
)
def test_the_last_line_is_told_or_what_kind_of_error_it_is(error: Exception, words: str) -> None:
    assert diagnosis._words(error) == words
