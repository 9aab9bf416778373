"""What commands write to the terminal. Nothing in it commands the terminal, whoever wrote it."""

import contextlib
import io
import sys
from typing import BinaryIO

import click

from penstock.core.text import printable


def ready() -> None:
    """Makes every text one that can be written, also where the terminal's encoding lacks its characters."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError, OSError):  # closed, or no stream that can change
                stream.reconfigure(errors="backslashreplace")


def tell(text: object = "", err: bool = False) -> None:
    """Writes lines to standard output, or to standard error."""
    click.echo(printable.lines(str(text)), err=err)


def tell_document(text: str) -> None:
    """Writes a whole document of ASCII to standard output, as it is."""
    click.echo(text)


def output_stream() -> BinaryIO:
    """Returns standard output for data, which is written as it is."""
    sys.stdout.flush()
    return sys.stdout.buffer


def warn(sentence: str) -> None:
    """Writes a sentence to standard error; nothing for ""."""
    if sentence:
        tell(f"warning: {sentence}", err=True)


def note(sentence: str) -> None:
    """Writes a sentence that warns of nothing to standard error; nothing for ""."""
    if sentence:
        tell(sentence, err=True)
