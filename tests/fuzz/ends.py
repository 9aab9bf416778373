"""What every command owes a person, whatever it is given."""

from tests.servers.commands import LIMIT, Ended

MEGABYTES = 900  # besides about 100 MB of imports
OUTPUT = 20_000  # characters


def assert_ends_well(ended: Ended, codes: tuple[int, ...] = (0, 2)) -> None:
    """It ended in time, in little memory, with success or a sentence, and with nothing that harms a terminal."""
    assert "Traceback" not in ended.errors, ended.errors[-3000:]
    assert ended.seconds < LIMIT, ended
    assert ended.megabytes < MEGABYTES, ended
    assert ended.code in codes, ended
    if ended.code:
        assert ended.errors.startswith(("penstock: ", "\npenstock: ")), ended.errors[:1000]
    text = ended.output + ended.errors
    assert len(text) < OUTPUT, text[:1000]
    assert all(character.isprintable() or character in "\n\t" for character in text), repr(text)
