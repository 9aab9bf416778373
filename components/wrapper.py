"""The decorator of every component: the only kind of component that runs alike on all targets.

The body of a decorated function travels as source text into the container, so it imports what it needs itself and
may not use names of its module.
"""

import functools
from importlib import metadata

from kfp import dsl

# The target puts its own image in place of this one (pipelines/targets.py). The tag carries the package's version, so
# that no cache serves the result of older code.
IMAGE = f"penstock-python:{metadata.version('penstock')}"

component = functools.partial(dsl.component, base_image=IMAGE, install_kfp_package=False)
