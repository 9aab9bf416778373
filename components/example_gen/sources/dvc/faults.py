"""What goes wrong with DVC and Git, in a sentence each."""

from collections.abc import Callable

from penstock.components.example_gen.sources.dvc.options import DvcOptions
from penstock.core.errors import ConfigError, DataError, PenstockError, ServerError
from penstock.core.services.retries import Unanswered
from penstock.core.services.transport import short
from penstock.core.suggestions import did_you_mean

_NETWORK = ("timed out", "timeout", "connection", "resolve", "temporarily", "reset", "unreachable", "502", "503")
_NOT_PUSHED = ("DataIndexDirError", "FileMissingError", "CollectCacheError")


def where(options: DvcOptions) -> str:
    """Returns how a sentence begins."""
    return f"data.dvc: {options.path} of {options.repo}"


def meaning(error: Exception, options: DvcOptions, known: Callable[[str], list[str]]) -> PenstockError | None:
    """Returns what an error means; None for one that is not of DVC, of Git or of a remote.

    `known` gives the names of the repository's "revisions" and "remotes".
    """
    from dvc import config, scm  # type: ignore[import-untyped]
    from dvc.exceptions import DvcException  # type: ignore[import-untyped]

    kind, said = type(error).__name__, short(str(error)).removesuffix(".")
    if isinstance(error, scm.SCMError):
        return _of_git(error, options, known)
    if isinstance(error, config.RemoteNotFoundError):
        near = did_you_mean(options.remote, known("remotes"), "there are")
        return ConfigError(f"data.dvc.remote: {options.repo} has no remote {options.remote!r}; {near}")
    if isinstance(error, config.NoRemoteError):
        return ConfigError(f"{where(options)}: the repository has no default remote: expected one in data.dvc.remote")
    if kind == "RemoteMissingDepsError":
        return ConfigError(
            f"{where(options)}: its remote needs a plug-in of DVC ({said}): install it where this task runs"
        )
    if kind in _NOT_PUSHED or (kind == "FileNotFoundError" and "No storage files available" in str(error)):
        remote = f"the remote {options.remote!r}" if options.remote else "its remote"
        return DataError(f"{where(options)}: {remote} lacks its data: run `dvc push` where it was added")
    if isinstance(error, DvcException):
        return DataError(f"{where(options)}: {said}")
    if isinstance(error, PermissionError):
        return ServerError(
            f"{where(options)}: its remote refuses this account ({said}): check the remote's credentials where this "
            "task runs"
        )
    if isinstance(error, ConnectionError | TimeoutError):
        return Unanswered(f"{where(options)}: its remote does not answer ({said})", "try again later")
    return None


def _of_git(error: Exception, options: DvcOptions, known: Callable[[str], list[str]]) -> PenstockError:
    from dvc import scm

    said, cause = short(str(error)), short(str(error.__cause__ or error))
    if isinstance(error, scm.RevError):
        near = did_you_mean(options.rev, known("revisions"), "there are")
        return DataError(f"data.dvc.rev: {options.repo}: {said}; {near}")
    if isinstance(error, scm.GitAuthError):
        return ServerError(
            f"data.dvc.repo: {options.repo} wants a sign-in: set up Git's credential helper or an SSH key where this "
            "task runs"
        )
    reasons = [error, error.__cause__, error.__cause__ and error.__cause__.__cause__]
    if any(word in str(reason).lower() for reason in reasons for word in _NETWORK):
        return Unanswered(f"data.dvc.repo: {options.repo} cannot be cloned now ({cause})", "try again later")
    return DataError(f"data.dvc.repo: {options.repo}: expected a Git repository that can be cloned ({cause})")
