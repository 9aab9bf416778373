"""A source of a person's own: found by its module and class, carried to workers, and blamed for what it raises."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.components.engines import open_engine
from penstock.components.example_gen import executor, sources
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources.pieces import Shard
from penstock.components.example_gen.sources.source import Request, Source
from penstock.core import artifacts, user_modules
from penstock.core.errors import ConfigError, ModuleError, UserError
from penstock.core.examples import records

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "own_source"
TRIPS = 827
MODULE = """
import contextlib
from dataclasses import dataclass
import pyarrow as pa
from penstock.components.example_gen.sources.inferred import InferredSource
from penstock.components.example_gen.sources.pieces import shards
from penstock.components.example_gen.sources.source import Opened, Resolved

@dataclass(frozen=True)
class Part:
    name: str
    rows: tuple
    size: int = 1 << 20

class Own(InferredSource):
    @classmethod
    def resolve(cls, asked):
        RESOLVE
        return Resolved(asked.splits, "one")

    @classmethod
    @contextlib.contextmanager
    def open(cls, request):
        OPEN
        parts = [Part("first", (1, 2)), Part("last", (3, 4.5))]
        yield Opened(cls(), shards({request.splits[0].name: parts}), {"parts": 2})

    def batches(self, piece):
        READ
        yield pa.RecordBatch.from_pydict({"x": list(piece.rows)})
"""


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., str]:
    """Returns a function that writes a module of a name of its own and gives its class as tasks know it."""
    count = iter(range(100))

    def write(**lines: str) -> str:
        source = MODULE
        for place in ("RESOLVE", "OPEN", "READ"):
            source = source.replace(place, lines.get(place.lower(), "pass"))
        path = tmp_path / f"own_{tmp_path.parent.name.replace('-', '_')}_{tmp_path.name}_{next(count)}.py"
        path.write_text(source)
        return f"{path}:Own"

    return write


def _generate(name: str, options: dict[str, str], out: Path, engine: str = "local:1") -> list[dict[str, object]]:
    base = json.dumps({name: options})
    found = resolving.resolve(input_base=base)
    executor.run(examples=str(out), input_base=base, **found._asdict(), engine=engine)
    examples = artifacts.Examples(out)
    files = [file for split in examples.splits() for file in examples.files(split)]
    return [row for batch in records.read_batches(files) for row in batch.to_pylist()]


def test_the_example_reads_its_trips_by_a_path_and_by_a_dotted_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"folder": str(EXAMPLE / "meters")}
    published = user_modules.publish(EXAMPLE / "my_source.py", tmp_path / "modules")
    monkeypatch.setattr(sys, "path", [*sys.path])
    rows = _generate(f"{published}:Trips", options, tmp_path / "a", "local:2")
    assert len(rows) == TRIPS
    assert {"started": [b"2013-01-01 00:30:00.000000"], "payment": [b"Credit Card"]}.items() <= rows[0].items()
    package = tmp_path / "own_trips_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "taxi.py").write_bytes((EXAMPLE / "my_source.py").read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("own_trips_package.taxi.Trips", f"{user_modules.pin('own_trips_package.taxi')}:Trips"):
        assert sources.named(name).resolve
        assert _generate(name, options, tmp_path / name) == rows


def test_its_types_may_grow(own: Callable[..., str], tmp_path: Path) -> None:
    rows = _generate(own(), {}, tmp_path / "out")
    assert sorted(str(row["x"]) for row in rows) == ["[1.0]", "[2.0]", "[3.0]", "[4.5]"]


def test_workers_that_have_not_its_module_import_it(own: Callable[..., str], tmp_path: Path) -> None:
    """The engine's processes are forked before this one knows the module."""
    with open_engine("local:2") as engine:
        request = Request("", resolving.configs.DEFAULT_INPUT, "", "", tmp_path, engine)
        with sources.named(own()).open(request) as opened:
            source = opened.source.with_all_types(opened.shards, engine)
            rows = list(engine.results(_Rows(source), opened.shards))
    assert rows == [[{"x": [1.0]}, {"x": [2.0]}], [{"x": [3.0]}, {"x": [4.5]}]]


@dataclass(frozen=True)
class _Rows:
    source: Source[Any]

    def __call__(self, shard: Shard[Any]) -> list[dict[str, Any]]:
        return [row for piece in shard.pieces for block in self.source.read(piece) for row in block.columns.to_pylist()]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ({"resolve": "return 1 / 0"}, r"own_.*\.py:Own: resolve raised ZeroDivisionError: division by zero"),
        ({"resolve": "return 'all'"}, r"resolve: expected it to return a Resolved, received 'all'"),
        ({"open": "request.options['table']"}, r"open raised TypeError: string indices must be integers"),
        ({"open": "yield 3; return"}, r"open: expected it to yield an Opened, received 3"),
        ({"read": "raise SystemExit(1)"}, r"Own: read called sys.exit\(1\): expected it to return"),
        ({"read": "{}['x']"}, r"Own: read raised KeyError: 'x'"),
    ],
)
def test_what_it_raises_is_one_sentence_with_its_own_lines(
    lines: dict[str, str], told: str, own: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(ModuleError, match=told) as raised:
        _generate(own(**lines), {}, tmp_path / "out")
    if "raised" in told or "called" in told:
        assert next(iter(lines.values())) in raised.value.details
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_such_package.sources.Trips", "there is no package 'no_such_package' where this task runs"),
        ("penstock.components.example_gen.splits.Splitter", "expected a class that extends penstock.*Source, received"),
        (
            "penstock.components.example_gen.splits.Trips",
            "expected a class that extends penstock.*Source, received None",
        ),
        ("penstock.no_such_module.Trips", "raised ModuleNotFoundError: No module named 'penstock.no_such_module'"),
        ("/nowhere/my_source.py:Trips", "/nowhere/my_source.py does not exist"),
    ],
)
def test_what_is_no_source_is_told(name: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as raised:
        sources.named(name)
    assert "\n" not in raised.value.message
    assert isinstance(raised.value, ConfigError | ModuleError)
