"""The public names of `tf.keras` that only one Keras has: tf_keras, or keras 3. A test compares them with both."""

_ONLY_2 = {
    "": "dtensor experimental",
    "applications": "RegNetX002 RegNetX004 RegNetX006 RegNetX008 RegNetX016 RegNetX032 RegNetX040 RegNetX064 "
    "RegNetX080 RegNetX120 RegNetX160 RegNetX320 RegNetY002 RegNetY004 RegNetY006 RegNetY008 RegNetY016 RegNetY032 "
    "RegNetY040 RegNetY064 RegNetY080 RegNetY120 RegNetY160 RegNetY320 ResNetRS101 ResNetRS152 ResNetRS200 ResNetRS270 "
    "ResNetRS350 ResNetRS420 ResNetRS50 regnet resnet_rs",
    "backend": "experimental function in_test_phase in_train_phase learning_phase learning_phase_scope local_conv1d "
    "local_conv2d manual_variable_initialization normalize_batch_in_training placeholder print_tensor random_binomial "
    "reset_uids set_learning_phase",
    "callbacks": "BaseLogger SidecarEvaluatorModelExport experimental",
    "constraints": "RadialConstraint radial_constraint",
    "layers": "AbstractRNNCell DenseFeatures LocallyConnected1D LocallyConnected2D experimental",
    "losses": "kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error "
    "mean_squared_logarithmic_error",
    "metrics": "MeanRelativeError MeanTensor experimental kl_divergence log_cosh mean_absolute_error "
    "mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error",
    "models": "experimental model_from_config model_from_yaml",
    "optimizers": "experimental legacy",  # Keras 3 has the name legacy, and classes in it that only raise
    "utils": "GeneratorEnqueuer OrderedEnqueuer SequenceEnqueuer SidecarEvaluator StepsPerExecutionTuner TimedThread "
    "experimental to_ordinal warmstart_embedding_matrix",
}
# Of Keras 3's own, which are many, those that a model is written with.
_ONLY_3 = {
    "": "Quantizer config device distillation distribution dtype_policies name_scope ops quantizers random remat tree "
    "visualization",
    "layers": "FlaxLayer GroupQueryAttention JaxLayer MelSpectrogram Pipeline RMSNormalization STFTSpectrogram "
    "TFSMLayer TorchModuleWrapper",
    "optimizers": "Lamb LossScaleOptimizer Muon ScheduleFreeAdamW",
    "utils": "PyDataset",
}


def _dotted(names: dict[str, str]) -> frozenset[str]:
    return frozenset(f"{parent}.{name}".lstrip(".") for parent, text in names.items() for name in text.split())


ONLY_2 = _dotted(_ONLY_2)
ONLY_3 = _dotted(_ONLY_3)
