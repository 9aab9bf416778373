"""Every error that Penstock raises on purpose.

PenstockError
├── UserError             the user can fix it: one sentence, exit code 2, never a traceback
│   ├── ConfigError       the configuration: an unknown key, a value out of range
│   │   └── NoCredentials a secret is not where it was looked for, such as a variable of the environment
│   ├── DataError         the data: a ragged row, a wrong encoding, a label that is not there
│   ├── SchemaError       the schema does not fit the data or the configuration
│   ├── ModuleError       the user's module file: a function is missing, or raised
│   ├── ModelError        the model or its evaluation: a missing signature, a metric that does not exist
│   └── ServerError       a server refuses the request
│       └── NoServer      nothing answers at its address
└── SystemFailure         the machine or a service: exit code 1, a rerun may succeed
    ├── WorkerLost        a worker process was killed, most often for memory
    └── ServerUnavailable a server did not answer in time, or answered that it cannot now
"""

import errno

from penstock.core.text import printable


class PenstockError(Exception):
    """An error whose message is one sentence: what was expected, what was received, what to do.

    What others wrote of it is made printable and gets an end (core/text/printable.py). `details` holds lines to show
    below the sentence, such as the user's own part of a traceback.
    """

    exit_code = 1

    def __init__(self, message: str, details: str = ""):
        self.message = printable.sentence(message)
        self.details = printable.paragraph(details)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.details}" if self.details else self.message

    def __reduce__(self) -> tuple[type, tuple[str, ...]]:  # crosses processes with its details
        return type(self), (self.message, self.details)


class UserError(PenstockError):
    exit_code = 2


class ConfigError(UserError):
    pass


class NoCredentials(ConfigError):
    """`variable` is the environment's that is not set, "" where a library looked in places of its own."""

    def __init__(self, message: str, details: str = "", variable: str = ""):
        super().__init__(message, details)
        self.variable = variable

    def __reduce__(self) -> tuple[type, tuple[str, ...]]:
        return type(self), (self.message, self.details, self.variable)


class DataError(UserError):
    pass


class SchemaError(UserError):
    pass


class ModuleError(UserError):
    pass


class ModelError(UserError):
    pass


class ServerError(UserError):
    pass


class NoServer(ServerError):
    pass


class SystemFailure(PenstockError):
    pass


class WorkerLost(SystemFailure):
    pass


class ServerUnavailable(SystemFailure):
    pass


_OF_PATHS = {
    errno.ENAMETOOLONG: "the name is too long: expected a shorter one",
    errno.ELOOP: "a link in it leads back to itself",
    errno.ENOTDIR: "a file stands where a folder is expected",
    errno.EISDIR: "this is a folder: expected a file",
    errno.EEXIST: "a file stands where a folder is to be made",
}
_OF_LIMITS = {
    errno.EMFILE: "this process may open no more files: raise the limit (ulimit -n) and run again",
    errno.EAGAIN: "this account may start no more processes or threads: raise the limit (ulimit -u) and run again",
}
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


def explain_os_error(error: OSError) -> UserError | None:
    """Returns an error of the operating system as a UserError if the user can fix it; None for any other.

    These are a full disk or quota, a limit of the account's, a read-only file system, missing permission, and paths
    that cannot be.
    """
    path = error.filename2 or error.filename  # a copy, a link or a rename writes the second one
    where = f" while writing {path}" if path else ""
    if error.errno in _FULL:
        return UserError(f"{_FULL[error.errno]}{where}: free some space and run again; finished tasks are kept")
    if error.errno == errno.EFBIG:
        return UserError(f"a file outgrew this account's limit{where}: raise it (ulimit -f) and run again")
    if error.errno == errno.EROFS:
        return UserError(f"the file system is read-only{where}: choose a place that can be written")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UserError(f"permission denied: {error.filename or error}: make it readable and writable, then run again")
    if error.errno in _OF_PATHS and path:
        return UserError(f"{path}: {_OF_PATHS[error.errno]}")
    if error.errno in _OF_LIMITS and not path:
        return UserError(_OF_LIMITS[error.errno])
    return None


def address_space() -> int | None:
    """Returns how many bytes of address space the shell gives this process (ulimit -v); None for no limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def explain_memory() -> PenstockError:
    """Returns what a MemoryError means: a limit that the user has set, or too little memory."""
    limit = address_space()
    if limit is None:
        return SystemFailure("the task ran out of memory: give it more, or less data at once")
    return UserError(
        f"the {limit >> 20:,} MiB of address space that this shell gives a process are used up: raise the limit, best "
        "with `ulimit -v unlimited`, for TensorFlow reserves more than it uses"
    )
