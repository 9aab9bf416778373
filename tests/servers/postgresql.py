"""PostgreSQL itself, on loopback; tests that need it are skipped where it is not installed."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.servers import ports, unprivileged

USER, PASSWORD = "penstock", "s3cret pass'w@rd"
_FOLDERS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *map(Path, os.get_exec_path())]
PROGRAMS = next((folder for folder in _FOLDERS if (folder / "initdb").exists()), None)
# No machine of a test loses power, and a test's data is small.
_SETTINGS = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=20", "autovacuum=off")


@dataclass(frozen=True)
class PostgreSQL:
    """A running server. `url` is without the password, which it wants."""

    port: int

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Runs statements, each on its own, and returns the rows of the last one."""
        with self.session() as execute:
            return [execute(statement) for statement in statements][-1]

    @contextmanager
    def session(self) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """Opens a connection, and gives what runs a statement on it and returns its rows."""
        import adbc_driver_postgresql.dbapi

        uri = self.url.replace(USER, f"{USER}:{quote(PASSWORD, safe='')}", 1)
        with adbc_driver_postgresql.dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:

            def execute(statement: str) -> list[tuple[Any, ...]]:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []

            yield execute


@contextmanager
def running() -> Iterator[PostgreSQL]:
    """Starts the server with an empty database; skips the test where there is none."""
    if PROGRAMS is None:
        pytest.skip("needs PostgreSQL (Debian's package postgresql)")
    with unprivileged.folder("penstock-postgresql-") as (folder, account):
        port, data, log = ports.reserve(), folder / "data", folder / "log"
        password = unprivileged.write(folder / "password", PASSWORD)
        make = [str(PROGRAMS / "initdb"), f"--pgdata={data}", f"--username={USER}", f"--pwfile={password}"]
        make += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        command = [str(PROGRAMS / "postgres"), "-D", str(data), "-p", str(port), "-k", "", "-h", "127.0.0.1"]
        for setting in _SETTINGS:
            command += ["-c", setting]
        with log.open("wb") as file:
            made = subprocess.run(make, stdout=file, stderr=file, cwd=folder, **account)
            assert made.returncode == 0, log.read_text()
            with subprocess.Popen(command, stdout=file, stderr=file, cwd=folder, **account) as process:
                try:
                    server = PostgreSQL(port)
                    unprivileged.wait(process, log, lambda: server.execute("SELECT 1"))
                    yield server
                finally:
                    process.send_signal(signal.SIGQUIT)  # at once, with all its connections
