"""MariaDB itself, on loopback; tests that need it are skipped where it is not installed."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from shutil import which
from typing import Any

import pytest

from tests.servers import ports, unprivileged

USER, PASSWORD, DATABASE = "penstock", "s3cret pass'w@rd", "trips"
PROGRAM, MAKE = which("mariadbd", path="/usr/sbin:/usr/bin:/usr/local/bin"), which("mariadb-install-db")
_SETTINGS = (
    *("--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"),
    *("--innodb-log-file-size=4M", "--skip-log-bin", "--skip-name-resolve", "--performance-schema=off"),
)


@dataclass(frozen=True)
class MariaDB:
    """A running server. `url` is without the password, which it wants."""

    port: int
    socket: str

    @property
    def url(self) -> str:
        return f"mariadb://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def execute(self, *statements: str, database: str | None = DATABASE) -> list[tuple[Any, ...]]:
        """Runs statements as root, each on its own, and returns the rows of the last one."""
        with self.session(database) as execute:
            return [execute(statement) for statement in statements][-1]

    @contextmanager
    def session(self, database: str | None = DATABASE) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """Opens a connection of root's, and gives what runs a statement on it and returns its rows."""
        import pymysql

        connection = pymysql.connect(unix_socket=self.socket, user="root", database=database, autocommit=True)
        with connection, connection.cursor() as cursor:

            def execute(statement: str) -> list[tuple[Any, ...]]:
                cursor.execute(statement)
                return list(cursor.fetchall())

            yield execute


@contextmanager
def running() -> Iterator[MariaDB]:
    """Starts the server with an empty database; skips the test where there is none."""
    if PROGRAM is None or MAKE is None:
        pytest.skip("needs MariaDB (Debian's package mariadb-server)")
    with unprivileged.folder("penstock-mariadb-") as (folder, account):
        log, socket = folder / "log", str(folder / "socket")
        server = MariaDB(ports.reserve(), socket)
        shared = ["--no-defaults", f"--datadir={folder / 'data'}", *_SETTINGS]
        make = [MAKE, *shared, "--auth-root-authentication-method=normal", "--skip-test-db", f"--tmpdir={folder}"]
        command = [PROGRAM, *shared, f"--port={server.port}", "--bind-address=127.0.0.1", f"--socket={socket}"]
        command += [f"--pid-file={folder / 'pid'}", f"--tmpdir={folder}"]
        with log.open("wb") as file:
            made = subprocess.run(make, stdout=file, stderr=file, cwd=folder, **account)
            assert made.returncode == 0, log.read_text()
            with subprocess.Popen(command, stdout=file, stderr=file, cwd=folder, **account) as process:
                try:
                    unprivileged.wait(process, log, lambda: server.execute("SELECT 1", database=None))
                    password = PASSWORD.replace("'", "''")
                    server.execute(
                        f"CREATE DATABASE {DATABASE}",
                        f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{password}'",
                        f"GRANT ALL ON {DATABASE}.* TO {USER}@'127.0.0.1'",
                        database=None,
                    )
                    yield server
                finally:
                    process.kill()  # what it wrote is thrown away
