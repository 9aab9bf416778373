"""Files whose records, or blocks of such, end with the same bytes, wherever these stand: a line feed, a sync marker.

Such a file is cut without a look at it. A piece holds the records that begin in its range: who reads it goes to the
first one that does, and on to the end of the last one.
"""

from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.core.errors import DataError
from penstock.core.files import data_files
from penstock.core.files.data_files import DataFile

PIECE = 2 << 20  # bytes that are parsed at a time: rows in columns take many times their bytes
_LONGEST_RECORD = 64 << 20
_MORE = 1 << 16  # bytes that are read at a time of a record that goes on behind its piece


def pieces(file: DataFile, name: str, start: int = 0, size: int = 0) -> list[FilePiece]:
    """Cuts a file from its first record's `start` on into ranges of `size` bytes, by default PIECE."""
    end, size = data_files.size(file), size or PIECE
    return [
        FilePiece(file, name, begin, min(begin + size, end), min(size, end - begin))
        for begin in range(start, end, size)
    ]


def first_record(piece: FilePiece, separator: bytes, start: int = 0) -> int:
    """Returns the offset of the piece's first record; that of its end, if none begins in it."""
    return _content(piece, separator, start)[0]


def content(piece: FilePiece, separator: bytes, start: int = 0) -> bytes:
    """Returns the records that begin in a piece of a file whose first record begins at `start`.

    Raises a DataError for a record that is too long for a row.
    """
    return _content(piece, separator, start)[1]


def _content(piece: FilePiece, separator: bytes, start: int) -> tuple[int, bytes]:
    length, is_first = len(separator), piece.start == start
    begin = piece.start if is_first else piece.start - length
    found = data_files.content(piece.path, begin, piece.end)
    if not is_first:
        first = found.find(separator)
        if first < 0 or begin + first + length >= piece.end:
            return piece.end, b""
        found, begin = found[first + length :], begin + first + length
    parts, position = [found], piece.end
    looked = max(0, piece.end - length - begin)  # a record that ends right at the piece's end is its last one
    place = found.find(separator, looked)
    if place >= 0:
        return begin, found[: place + length]
    rest = found[max(0, len(found) - length + 1) :]
    while more := data_files.content(piece.path, position, position + _MORE):
        place = (rest + more).find(separator)
        if place >= 0:
            parts.append(more[: place + length - len(rest)])
            break
        parts.append(more)
        rest, position = (rest + more)[-(length - 1) :] if length > 1 else b"", position + len(more)
        if position - piece.end > _LONGEST_RECORD:
            raise DataError(f"{piece.name}: expected records of less than {_LONGEST_RECORD >> 20} MiB, found a longer")
    return begin, b"".join(parts)
