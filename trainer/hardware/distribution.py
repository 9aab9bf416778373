"""Data-parallel training of one model: on the GPUs of a machine, or on the workers that TF_CONFIG names.

    {"cluster": {"chief": ["host:port"], "worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}

Vertex AI and Kubeflow's training operator set TF_CONFIG for each of their replicas. Every worker reads all the data and
takes its part of each batch. Only the chief writes: chief 0, or worker 0 where there is no chief.
"""

import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from penstock.core.arguments import check_object, parse_object
from penstock.core.errors import ConfigError
from penstock.trainer.data.input_data import Data, Shard
from penstock.trainer.loop.checkpoints import Arrays

VARIABLE = "TF_CONFIG"
_TRAINING = ("chief", "master", "worker")  # tasks that train; "master" is an older name of the chief
_OTHERS = ("evaluator", "ps")  # tasks that do not
_CLUSTER = '{"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}'
_EXAMPLE = f'{{"cluster": {_CLUSTER}, "task": {{"type": "worker", "index": 0}}}}'
_TASK = re.compile(r"/job:worker/(?:replica:\d+/)?task:(\d+)")  # in TensorFlow's errors
_ABORTED = re.compile(r"Collective ops is aborted by: ([^\n]+)")
logger = logging.getLogger(__name__)

type Batches = tf.data.Dataset | tf.distribute.DistributedDataset


@dataclass(frozen=True)
class Cluster:
    """The workers that train together.

    addresses: "host:port" of each worker, the chief first.
    index: which of them this process is, from 0.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.index == 0


def cluster(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Returns the cluster of TF_CONFIG, or None if that is not set or names only one worker.

    Raises a ConfigError if TF_CONFIG is malformed or asks for parameter servers.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    config = parse_object(VARIABLE, text, example=_EXAMPLE)
    workers = check_object(f"{VARIABLE}.cluster", config.get("cluster", {}), example=_CLUSTER)
    if not workers:
        return None
    for kind, addresses in workers.items():
        _check_addresses(kind, addresses)
    if workers.get("ps"):
        raise ConfigError(f"{VARIABLE}: parameter servers (ps) are not supported: leave only chief and worker tasks")
    kind, index = _task(config.get("task"), workers)
    order = [(name, number) for name in _TRAINING for number in range(len(workers.get(name, [])))]
    addresses = tuple(workers[name][number] for name, number in order)
    return Cluster(addresses, order.index((kind, index))) if len(addresses) > 1 else None


def _check_addresses(kind: str, addresses: object) -> None:
    if kind not in (*_TRAINING, *_OTHERS):
        raise ConfigError(f"{VARIABLE}.cluster: expected chief and worker, received {kind!r}")
    well_formed = isinstance(addresses, list) and all(
        isinstance(address, str) and address.rpartition(":")[0] and address.rpartition(":")[2].isdecimal()
        for address in addresses
    )
    if not well_formed:
        raise ConfigError(
            f"{VARIABLE}.cluster.{kind}: expected a list of addresses such as 10.0.0.1:2222, received {addresses!r}"
        )


def _task(task: object, workers: Mapping[str, list[str]]) -> tuple[str, int]:
    """Returns the kind of this process's task, and its index among the tasks of this kind."""
    if not isinstance(task, dict) or "type" not in task:
        raise ConfigError(f'{VARIABLE}.task: expected such as {{"type": "worker", "index": 0}}, received {task!r}')
    kind, index = task["type"], task.get("index", 0)
    if kind not in _TRAINING or kind not in workers:
        expected = ", ".join(name for name in _TRAINING if name in workers) or "worker"
        raise ConfigError(f"{VARIABLE}.task.type: expected one of the cluster's {expected}, received {kind!r}")
    count = len(workers[kind])
    try:
        number = int(index)  # Kubeflow writes a number, others a string
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < count:
        raise ConfigError(f"{VARIABLE}.task.index: expected 0 to {count - 1} for {kind}, received {index!r}")
    return kind, number


@dataclass(frozen=True)
class Distribution:
    """How one model is trained by several replicas.

    strategy: None for one device. cluster: None if this process trains without others.
    """

    strategy: tf.distribute.Strategy | None = None
    cluster: Cluster | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints, logs and the model."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def replicas(self) -> int:
        """The number of devices of all workers together."""
        return int(self.strategy.num_replicas_in_sync) if self.strategy is not None else 1

    def folder(self, path: Path) -> Path:
        """Returns `path` for the chief, and a new temporary folder for every other worker."""
        return path if self.is_chief else Path(tempfile.mkdtemp(prefix="penstock-worker-"))

    def build(self, make: Callable[[], keras.Model]) -> keras.Model:
        """Returns what `make` returns; each replica has a copy of the variables that `make` creates."""
        if self.strategy is None:
            return make()
        with self.strategy.scope():
            return make()

    def batches(self, data: Data, batch_size: int, epoch: int, seed: int, skip_steps: int) -> Batches:
        """Returns this worker's part of each batch of an epoch, in the form that `strategy.run` takes.

        The arguments are those of `Data.batches`.
        """
        shard = Shard(self.cluster.index, len(self.cluster.addresses)) if self.cluster else Shard()
        part = data.batches(batch_size, epoch, seed, skip_steps, shard)
        if self.strategy is None:
            return part
        local_replicas = self.replicas // shard.count
        per_replica = part.rebatch(batch_size // self.replicas, drop_remainder=True) if local_replicas > 1 else part
        return self.strategy.distribute_datasets_from_function(lambda _: per_replica)

    def evenly(self, batch_size: int) -> int:
        """Returns the largest multiple of `replicas` up to `batch_size`; `replicas` if there is none."""
        return max(1, batch_size // self.replicas) * self.replicas

    def lost(self, message: str) -> str:
        """Returns which worker went away and why, read from TensorFlow's message about a failed exchange."""
        assert self.cluster is not None
        named = {int(number) for number in _TASK.findall(message)} - {self.cluster.index}
        addresses = self.cluster.addresses
        worker = "another worker"
        if len(named) == 1 and max(named) < len(addresses):
            (number,) = named
            worker = f"worker {number + 1} of {len(addresses)} at {addresses[number]}"
        aborted = _ABORTED.search(message)
        lines = [line.strip(" .") for line in message.splitlines() if line.strip() and "Graph execution" not in line]
        reason = aborted[1].strip(" .") if aborted else lines[0] if lines else "it gives no reason"
        return f"{worker} went away: {reason}"

    def from_chief(self, arrays: Arrays | None) -> Arrays | None:
        """Returns the chief's arrays on every worker; all workers must call this at the same time.

        The argument counts on the chief only. Its arrays are sent as sums in which all others are zeros.
        """
        if self.cluster is None:
            return arrays
        layout_text = json.dumps(None if arrays is None else [(array.shape, array.dtype.str) for array in arrays])
        sent = np.frombuffer(layout_text.encode(), np.uint8) if self.is_chief else np.zeros(0, np.uint8)
        (size,) = self._sum([np.array([len(sent)])])
        (received,) = self._sum([sent if self.is_chief else np.zeros(size, np.uint8)])
        layout = json.loads(received.tobytes())
        if layout is None:
            return None
        empty = [np.zeros(shape, dtype) for shape, dtype in layout]
        return self._sum(arrays if self.is_chief and arrays is not None else empty)

    def _sum(self, arrays: Arrays) -> Arrays:
        """Returns the sums of the workers' arrays.

        They are added as float64, which holds all whole numbers that occur (steps, seeds, bytes) exactly.
        """
        strategy = self.strategy
        assert strategy is not None

        def total(values: list[tf.Tensor]) -> list[tf.Tensor]:
            context = tf.distribute.get_replica_context()
            local_replicas = len(strategy.extended.worker_devices)  # each of which adds the same values
            sums: list[tf.Tensor] = context.all_reduce(
                tf.distribute.ReduceOp.SUM, [value / local_replicas for value in values]
            )
            return sums

        sent = [tf.constant(np.asarray(array, np.float64)) for array in arrays]
        reduced = strategy.run(tf.function(total), args=(sent,)) if sent else []
        return [
            np.asarray(strategy.experimental_local_results(value)[0]).round(12).astype(array.dtype)
            if array.dtype.kind in "iu"
            else np.asarray(strategy.experimental_local_results(value)[0]).astype(array.dtype)
            for value, array in zip(reduced, arrays, strict=True)
        ]


def start(environment: Mapping[str, str] = os.environ) -> Distribution:
    """Connects to the other workers of TF_CONFIG, or takes all GPUs of this machine.

    To be called before TensorFlow uses a device, since workers connect at its start. Raises a ConfigError if TF_CONFIG
    is malformed.
    """
    members = cluster(environment)
    if members is not None:
        logger.info("worker %d of %d at %s", members.index + 1, len(members.addresses), members.addresses)
        return Distribution(_multi_worker(members), members)
    devices = tf.config.list_logical_devices("GPU")
    return Distribution(tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else None)


def _multi_worker(members: Cluster) -> tf.distribute.Strategy:
    """Returns the strategy of these workers.

    TensorFlow is told that the chief is a worker too, the first one. So it numbers the workers as Cluster does.
    """
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(members.addresses)}),
        task_type="worker",
        task_id=members.index,
        rpc_layer="grpc",
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
