"""Taxi meters, as a source of one's own: a file for each cab, and in it a line of fixed columns for each trip."""

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from penstock.components.example_gen.sources.pieces import FilePiece, shards
from penstock.components.example_gen.sources.source import Asked, Opened, Request, Resolved
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.files import atomic


class Trips(TableSource[FilePiece]):
    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Looks at what there is, on every run: with an equal fingerprint nothing is read again."""
        folder = Path(asked.options["folder"])
        return Resolved(asked.splits, atomic.digest(folder.glob("cab-*.txt"), folder))

    @classmethod
    def may_be_looked_at(cls, asked: Asked) -> bool:
        return True  # by `penstock validate`, for to read some rows costs nothing here

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Cuts the data into pieces that can be read apart: here a cab each."""
        folder = Path(json.loads(request.options)["folder"])
        files = sorted(folder.glob("cab-*.txt"))
        cabs = [FilePiece(file, file.name, 0, file.stat().st_size, file.stat().st_size) for file in files]
        yield Opened(cls(), shards({request.splits[0].name: cabs}), {"cabs": len(cabs)}, origin={"folder": folder.name})

    def batches(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        """Reads the rows of a piece, which have any types of Arrow's."""
        lines = piece.path.read_text().splitlines()
        yield pa.RecordBatch.from_pydict(
            {
                "started": [datetime.fromisoformat(line[:16]) for line in lines],
                "seconds": [int(line[17:23]) for line in lines],
                "miles": [float(line[24:30]) for line in lines],
                "fare": [float(line[31:38]) for line in lines],
                "payment": [line[39:] for line in lines],
            }
        )
