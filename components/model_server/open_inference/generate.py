"""Writes open_inference_pb2.py and its types, which are generated from open_inference.proto and committed.

    python -m penstock.components.model_server.open_inference.generate [--check]

Needs grpcio-tools, which the extra `dev` has.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
PROTO = FOLDER / "open_inference.proto"


def stale() -> dict[Path, bytes]:
    """Returns what the files should hold that hold something else."""
    with tempfile.TemporaryDirectory() as scratch:
        # In a process of its own: protoc's symbols and TensorFlow's do not go together in one.
        protoc = [sys.executable, "-m", "grpc_tools.protoc"]
        subprocess.run(
            [*protoc, f"-I{FOLDER}", f"--python_out={scratch}", f"--pyi_out={scratch}", PROTO.name], check=True
        )
        generated = {FOLDER / path.name: path.read_bytes() for path in Path(scratch).iterdir()}
    return {path: text for path, text in generated.items() if not path.exists() or path.read_bytes() != text}


def main(arguments: list[str]) -> int:
    changed = stale()
    for path, text in changed.items():
        print(f"{path.name} {'is stale' if '--check' in arguments else 'written'}")
        if "--check" not in arguments:
            path.write_bytes(text)
    return 1 if changed and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
