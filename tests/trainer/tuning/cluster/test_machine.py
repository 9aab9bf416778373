"""A machine of a search that its chief does not know."""

from pathlib import Path

import keras_tuner
import pytest

from penstock.core.errors import ServerError
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.hardware.distribution import Cluster
from penstock.trainer.tuning.cluster import machine, serving, tokens
from penstock.trainer.tuning.cluster.processes import Source
from penstock.trainer.tuning.user_code import UserCode

pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]  # KerasTuner's are its own


def test_another_token_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tokens.VARIABLE, "of another search")
    oracle = keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("val", "min"))
    code = UserCode("module.py", "", FnArgs(working_dir=str(tmp_path)))
    with serving.Served(oracle, "127.0.0.1", 0, tokens.new()) as served:
        cluster = Cluster((f"127.0.0.1:{served.port}", "127.0.0.1:1"), 1)
        with pytest.raises(ServerError, match=r"refuses this machine's PENSTOCK_SEARCH_TOKEN: give all machines of a"):
            machine.work(code, 1, Source(fork=False), cluster, lambda: False)
