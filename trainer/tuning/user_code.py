"""The user's tuner_fn and its arguments, which every process of a search shares."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_tuner.src.engine.base_tuner import BaseTuner

from penstock.core import user_modules
from penstock.core.errors import ConfigError, ModuleError
from penstock.trainer import autograph, run_fn
from penstock.trainer.data import reader
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.tuning import telling


@dataclass(frozen=True)
class UserCode:
    """The user's tuner_fn, which user_modules.find finds by the first two fields, and its argument."""

    module_file: str
    tuner_fn: str
    fn_args: FnArgs

    def tuner(self) -> tuple[BaseTuner, dict[str, Any]]:
        """Calls tuner_fn; returns its tuner and the keyword arguments of the tuner's `search`.

        Random generators are seeded first, so that an oracle without a seed draws the same trials in a rerun. Raises a
        ModuleError if tuner_fn is missing, raises, or returns anything else, and a ConfigError if the tuner has no
        trials to run.
        """
        autograph.skip_libraries()
        run_fn.set_seeds()
        function = user_modules.find(self.module_file, self.tuner_fn, "tuner_fn")
        with telling.without_reloading():
            result = user_modules.call("tuner_fn", function, self.fn_args)
        tuner, fit_kwargs = getattr(result, "tuner", None), getattr(result, "fit_kwargs", None)
        if not isinstance(tuner, BaseTuner) or not isinstance(fit_kwargs, Mapping):
            raise ModuleError(
                "tuner_fn: expected a TunerFnResult of a KerasTuner tuner and a dict of fit_kwargs, received "
                f"{result!r}"
            )
        if tuner.oracle.max_trials is not None and tuner.oracle.max_trials < 1:  # for KerasTuner, that means no limit
            raise ConfigError(f"tuner_fn: expected a tuner of at least one trial, received {tuner.oracle.max_trials}")
        return tuner, dict(fit_kwargs)

    def arguments(self) -> str:
        """Returns JSON from which `from_arguments` makes the same UserCode in another process."""
        fields = {**vars(self.fn_args), "data_accessor": None}
        return json.dumps({"module_file": self.module_file, "tuner_fn": self.tuner_fn, "fn_args": fields})

    @classmethod
    def from_arguments(cls, text: str) -> "UserCode":
        """Returns the UserCode whose `arguments` these are, with a data_accessor of this process."""
        arguments = json.loads(text)
        fn_args = FnArgs()
        for name, value in arguments["fn_args"].items():
            setattr(fn_args, name, value)
        fn_args.data_accessor = reader.data_accessor(fn_args.payload_format)
        return cls(arguments["module_file"], arguments["tuner_fn"], fn_args)
