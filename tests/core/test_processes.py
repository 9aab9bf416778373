"""Names of processes: whether the one that left something behind has ended."""

import os
import re
import subprocess
import sys

from penstock.core import processes


def test_the_name_says_whether_its_process_has_ended() -> None:
    assert re.fullmatch(processes.PATTERN, processes.name())
    assert processes.has_ended(processes.name()) is False
    machine = processes.name().partition("-")[0]
    assert processes.has_ended(f"{machine}-1") is False, "another user's"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert processes.has_ended(f"{machine}-{child.pid}") is True
    assert processes.has_ended(f"{machine}-{10**30}") is False


def test_of_other_machines_nothing_is_known() -> None:
    assert processes.has_ended(f"00000000-{os.getpid()}") is None
