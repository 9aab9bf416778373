"""Names of transformed columns that TensorFlow and Keras take, and that files can have."""

import hashlib
import re

SUFFIX = "_xf"  # of the names of what Transform makes, as in TFX's examples
_LONGEST = 100  # characters of a column's name that its output keeps
_DIGEST = 8  # hexadecimal digits


class OutputNames:
    """Gives each column a name of its own, also as the name of a vocabulary's file."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, column: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9_.-]", "_", column).lstrip("_.-") or "column"
        if len(plain) > _LONGEST:
            digest = hashlib.sha256(column.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
            plain = f"{plain[:_LONGEST]}-{digest}"  # keeps apart columns that begin alike
        unique, number = plain, 1
        while _as_file(unique) in self._taken:
            unique, number = f"{plain}-{number}", number + 1
        self._taken.add(_as_file(unique))
        return unique + SUFFIX


def _as_file(name: str) -> str:
    """Returns the name of a vocabulary's file: TFT makes `a_b` of `a.b`, and some file systems ignore capitals."""
    return re.sub(r"-+", "-", name.replace(".", "_")).lower()
