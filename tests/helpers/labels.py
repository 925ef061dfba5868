"""As much of a data set as a sampler asks for."""
import numpy as np


class Labels(list):
    """A data set of labels alone."""

    def get_gt_labels(self):
        return np.array(self)
