"""Data files that nobody meant to write: each is read, or refused in a sentence that names the file."""

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from penstock.core.examples import records
from tests.fuzz.ends import assert_ends_well
from tests.servers.commands import Commands

SEEDS = range(100)
CELLS = [
    "", "1", "1.5", "-0", "1e309", "nan", "NaN", "n/a", "inf", "9007199254740993", "99999999999999999999", "0x10",
    "true", "é",
    '"', '""', '"a,b"', '"a\nb"', "a\0b", "\x1b[31m", "x" * 5000, "1,2", "2026-01-31", "\t", " 1 ", "$5", "'", "\\",
    "\udcff", "🐧",
]  # fmt: skip
NAMES = [
    "a",
    "label",
    "",
    "a",
    "examples",
    "inputs",
    "é",
    "a b",
    'a"b',
    "x" * 250,
    "1",
    "__index__",
    "a/b",
    "\x1b[0m",
    "ä" * 100,
    "name",
    "self",
]


def table(chance: random.Random) -> bytes:
    """A CSV of odd cells and names, at times ragged."""
    names = [chance.choice(NAMES) for _ in range(chance.randrange(1, 5))]
    lines = [",".join(names)]
    for _ in range(chance.choice([0, 1, 50, 500])):
        width = len(names) if chance.random() < 0.99 else chance.randrange(6)
        usual = [str(chance.randrange(100)) for _ in range(width)]
        lines.append(",".join(chance.choice(CELLS) if chance.random() < 0.02 else cell for cell in usual))
    return chance.choice(["\n", "\r\n", "\r"]).join(lines).encode("utf-8", "surrogateescape")


def plain() -> bytes:
    return ("a,b,label\n" + "".join(f"{i},x{i % 7},{i % 2}\n" for i in range(300))).encode()


def changed(content: bytes, chance: random.Random) -> bytes:
    """The content with some bytes changed, doubled, or cut off."""
    mutable = bytearray(content)
    match chance.randrange(3):
        case 0:
            return bytes(mutable[: chance.randrange(len(mutable))])
        case 1:
            start = chance.randrange(len(mutable))
            return bytes(mutable[:start] + mutable[start : start + 50] * 3 + mutable[start:])
        case _:
            for _ in range(chance.randrange(1, 9)):
                mutable[chance.randrange(len(mutable))] = chance.randrange(256)
            return bytes(mutable)


def parquet(folder: Path) -> bytes:
    path = folder / ".parquet"
    pa.parquet.write_table(pa.table({"a": list(range(300)), "label": [i % 2 for i in range(300)]}), path)
    return path.read_bytes()


def tfrecord(folder: Path) -> bytes:
    path = folder / ".tfrecord.gz"
    batch = pa.record_batch({"a": [[i] for i in range(300)], "label": [[i % 2] for i in range(300)]})
    records.write(path, records.encode(batch))
    return path.read_bytes()


def write(folder: Path, chance: random.Random, seed: int) -> Path:
    """Writes the data of a seed; returns its file."""
    match seed % 6:
        case 0 | 1:
            name, content = "data.csv", table(chance)
        case 2:
            name, content = "data.csv", changed(plain(), chance)
        case 3:
            name, content = "data.csv.gz", changed(gzip.compress(plain(), mtime=0), chance)
        case 4:
            name, content = "data.parquet", changed(parquet(folder), chance)
        case _:
            name, content = "data.tfrecord.gz", changed(tfrecord(folder), chance)
    path = folder / "in" / name
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def configure(folder: Path, path: Path | str) -> None:
    (folder / "pipeline.yaml").write_text(f"name: small\ndata: {{path: '{path}'}}\nlabel: label\n")


@pytest.mark.parametrize("seed", SEEDS)
def test_data_is_read_or_refused(commands: Commands, tmp_path: Path, seed: int) -> None:
    path = write(tmp_path, random.Random(seed), seed)
    configure(tmp_path, path)
    assert_ends_well(commands.penstock("validate", cwd=tmp_path))
    source = {".csv": "csv", ".parquet": "parquet"}.get(path.suffix, "csv" if ".csv" in path.name else "tfrecord")
    assert_ends_well(commands.example_gen(tmp_path, source=source, input_base=str(path.parent), label="label"))


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bomb(path: Path) -> None:
    with gzip.open(path.with_name("data.csv.gz"), "wb") as file:
        for _ in range(200):
            file.write(b"x" * (10 << 20))


def wide(path: Path) -> None:
    path.write_text("\n".join(",".join(f"{cell}{i}" for i in range(20_000)) for cell in ("c", "")) + "\n")


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def folders(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("make", [fifo, bomb, wide, device, loop, folders, nothing])
def test_what_never_ends_or_is_no_file(commands: Commands, tmp_path: Path, make: Callable[[Path], None]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make(folder / "data.csv")
    configure(tmp_path, folder)
    assert_ends_well(commands.penstock("validate", cwd=tmp_path))
    assert_ends_well(commands.example_gen(tmp_path, source="csv", input_base=str(folder), label="label"))
