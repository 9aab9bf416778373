"""Protobuf's compiler, in a process of its own: in the tests' it would meet another copy of protobuf."""

import subprocess
import sys
from pathlib import Path


def descriptors(proto: Path, target: Path) -> Path:
    """Writes the descriptors of a .proto file and of those that it imports; returns where."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{proto.parent}", "--include_imports"]
    subprocess.run([*command, f"--descriptor_set_out={target}", proto.name], check=True)
    return target
