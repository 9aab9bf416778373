"""Which machine of Compute Engine a worker of Vertex AI gets: the smallest that has what `resources` asks for.

Tasks of a pipeline name processors, memory and GPUs, and Vertex AI finds a machine for them. The workers of a CustomJob
name a machine type. These are the types of its list for custom training that are enough for every combination.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kfp.compiler import compiler_utils

from penstock.core.errors import ConfigError
from penstock.pipelines.config.resources import Resources

_GIB = (1 << 30) / 1e9


@dataclass(frozen=True)
class Machine:
    """A machine type, its processor cores, and its memory in GiB."""

    type: str
    cpu: int
    memory: float


def _family(name: str, per_cpu: float, *cpus: int) -> list[Machine]:
    return [Machine(f"{name}-{cpu}", cpu, cpu * per_cpu) for cpu in cpus]


# From the smallest to the largest: of machines that are enough, the first is taken.
_PLAIN = [
    *sorted(
        [
            *_family("e2-standard", 4, 4, 8, 16, 32),
            *_family("e2-highmem", 8, 4, 8, 16),
            *_family("n2-standard", 4, 48, 64, 80),
            *_family("n2-highmem", 8, 32, 48, 64, 80),
        ],
        key=lambda machine: (machine.cpu, machine.memory),
    ),
    *_family("m1-ultramem", 24.025, 40, 80, 160),
]
_N1 = sorted(
    [*_family("n1-standard", 3.75, 4, 8, 16, 32, 64, 96), *_family("n1-highmem", 6.5, 4, 8, 16, 32, 64, 96)],
    key=lambda machine: (machine.cpu, machine.memory),
)
# How many processors of an N1 machine go with so many GPUs at most.
_N1_CPUS = {
    "T4": {1: 16, 2: 32, 4: 96},
    "P4": {1: 16, 2: 32, 4: 96},
    "P100": {1: 16, 2: 32, 4: 32},
    "V100": {1: 8, 2: 16, 4: 32, 8: 96},
}
# Machines that come with their GPUs.
_WITH_GPUS = {
    "L4": {
        1: _family("g2-standard", 4, 4, 8, 12, 16, 32),
        2: _family("g2-standard", 4, 24),
        4: _family("g2-standard", 4, 48),
        8: _family("g2-standard", 4, 96),
    },
    "A100": {
        **{count: [Machine(f"a2-highgpu-{count}g", 12 * count, 85 * count)] for count in (1, 2, 4, 8)},
        16: [Machine("a2-megagpu-16g", 96, 1360)],
    },
    "A100_80GB": {count: [Machine(f"a2-ultragpu-{count}g", 12 * count, 170 * count)] for count in (1, 2, 4, 8)},
    "H100": {count: [Machine(f"a3-highgpu-{count}g", 26 * count, 234 * count)] for count in (1, 2, 4, 8)},
    "H200": {8: [Machine("a3-ultragpu-8g", 224, 2952)]},
    "B200": {8: [Machine("a4-highgpu-8g", 224, 3968)]},
}


def machine_type(resources: Resources, component: str) -> str:
    """Returns the machine type for these resources of a component; a ConfigError if there is none.

    Without a word on processors it has four at least, without one on memory what comes with them.
    """
    cpu = resources.cpu or 4
    memory = compiler_utils._memory_to_float(resources.memory) / _GIB if resources.memory else 0.0
    for machine in _with(resources):
        if machine.cpu >= cpu and machine.memory >= memory:
            return machine.type
    accelerator = resources.accelerator
    if accelerator and accelerator.count not in (counts := _counts(accelerator.type)):
        raise ConfigError(
            f"resources.{component}.accelerator.count: expected one of {', '.join(map(str, counts))}, which machines "
            f"of Vertex AI have of {accelerator.type}, received {accelerator.count}"
        )
    asked = [f"{cpu:g} processors", *([resources.memory] if resources.memory else [])]
    asked += [f"{accelerator.count} {accelerator.type}"] if accelerator else []
    raise ConfigError(f"resources.{component}: no machine of Vertex AI has {', '.join(asked)}: ask for less")


def _counts(accelerator: str) -> list[int]:
    return list(_N1_CPUS[accelerator] if accelerator in _N1_CPUS else _WITH_GPUS[accelerator])


def _with(resources: Resources) -> Iterator[Machine]:
    accelerator = resources.accelerator
    if accelerator is None:
        yield from _PLAIN
    elif accelerator.type in _N1_CPUS:
        most = _N1_CPUS[accelerator.type].get(accelerator.count, 0)
        yield from (machine for machine in _N1 if machine.cpu <= most)
    else:
        yield from _WITH_GPUS[accelerator.type].get(accelerator.count, [])
