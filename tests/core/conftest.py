"""Examples to read, as the tests of the components and of the trainer have them."""

from tests.components.conftest import write_examples as write_examples
from tests.trainer.conftest import penguins as penguins
