"""As much of a data set as a sampler asks for, and one whose images are their own number."""
import numpy as np
from mmengine.registry import DATASETS
from mmpretrain.datasets import BaseDataset


class Labels(list):
    """A data set of labels alone."""

    def get_gt_labels(self):
        return np.array(self)


class ListedMixin:
    """For any base: images by number and path; ``...`` has no label."""

    def __init__(self, labels, pipeline=(), **kwargs):
        self.labels = labels
        super().__init__(ann_file='', pipeline=pipeline, **kwargs)

    def load_data_list(self):
        return [dict(img=np.full((2, 2, 3), i, np.uint8), img_path=f'/nowhere/{i}.png',
                     **({} if label is ... else dict(gt_label=label)))
                for i, label in enumerate(self.labels)]


@DATASETS.register_module(name='TestListed')
class Listed(ListedMixin, BaseDataset):
    """A data set of mmpretrain."""
