"""Hyperparameter search: KerasTuner's oracles and tuners, run over the cores or GPUs of a machine."""
