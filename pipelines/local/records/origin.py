"""What a run was made of beside its data: for its page, and for who compares it with another."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.core.artifacts.retraining import Retraining
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.records import environment

_PATIENCE = 5.0  # seconds that Git gets, which may look at a large checkout


@dataclass(frozen=True)
class Origin:
    """What a run was made of.

    Args:
        configuration: The keys of the configuration that are no defaults, nested as in its file.
        modules: The paths of the user's files, by those of the copies that were run.
        versions: Of Python and of the packages that Penstock requires.
        commit: The Git commit of the project; "" where it is in no repository.
        edited: Whether a file of the repository differed from the commit.
        retraining: Why the run was started, where that was a retraining; None of a run by hand.
    """

    configuration: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    edited: bool = False
    retraining: Retraining | None = None


def of(config: Config, sources: Mapping[str, str], retraining: Retraining | None = None) -> Origin:
    """Returns what a run of a configuration is made of; `sources` are whose copies it runs, by their paths."""
    values = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    commit = _git(config.folder, "rev-parse", "HEAD")
    edited = bool(commit and _git(config.folder, "status", "--porcelain", "--untracked-files=no"))
    return Origin(values, dict(sources), environment.versions(), commit, edited, retraining)


def _git(folder: Path, *words: str) -> str:
    """Returns what Git says; "" where it is not there, or the folder is in no repository."""
    program = shutil.which("git")
    if program is None:
        return ""
    command = [program, "-C", str(folder), "--no-optional-locks", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
