"""Every error that Penstock raises on purpose.

PenstockError
├── UserError             the user can fix it: one sentence, exit code 2, never a traceback
│   ├── ConfigError       the configuration: an unknown key, a value out of range
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


class PenstockError(Exception):
    """An error whose message is one sentence: what was expected, what was received, what to do.

    `details` holds lines to show below the sentence, such as the user's own part of a traceback.
    """

    exit_code = 1

    def __init__(self, message: str, details: str = ""):
        super().__init__(message)
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return f"{self.message}\n{self.details}" if self.details else self.message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:  # crosses processes with its details
        return type(self), (self.message, self.details)


class UserError(PenstockError):
    exit_code = 2


class ConfigError(UserError):
    pass


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


_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


def explain_os_error(error: OSError) -> UserError | None:
    """Returns an error of the operating system as a UserError if the user can fix it; None for any other.

    These are a full disk or quota, a file over the account's limit, a read-only file system, and missing permission.
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
    return None
