"""What the model makes of labels, learnt from some rows."""

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.window_monitor.realised.label_codes import LabelCodes
from penstock.core.errors import DataError


def test_other_numbers_of_a_regression_are_not_learnt() -> None:
    """Labels that these rows do not have would be unknown."""
    labels = pa.array([1.0, 2.0, 3.5], pa.float32())
    assert LabelCodes.learnt(labels, labels, "regression").numbers is None
    with pytest.raises(DataError, match="the model makes other numbers of its label"):
        LabelCodes.learnt(labels, pa.array(np.log([1.0, 2.0, 3.5]), pa.float32()), "regression")
    assert LabelCodes.learnt(labels, pa.array([0.0, 1.0, 2.0]), "multiclass").numbers == {1.0: 0.0, 2.0: 1.0, 3.5: 2.0}
