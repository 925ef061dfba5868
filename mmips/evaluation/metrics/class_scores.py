# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from mmips.evaluation import per_class
from mmips.registry import METRICS


@METRICS.register_module()
class ClassScores(BaseMetric):
    """The score of every class, which mmseg and mmdet only print, as metrics.

    For Tables 8 and 9 of the IPS paper. All in percent: 'IoU/<class>', 'mIoU' and 'aAcc' of a
    segmentor, 'AP/<class>' and 'mAP' of a detector, computed by the functions of the toolbox's
    own metric. NaN for a class that does not occur.

    Args:
        metric (dict): Config of that metric: dict(type='mmseg.IoUMetric', ...), or a VOCMetric or
            CocoMetric of mmdet.
        collect_device (str): 'cpu' or 'gpu', where results of several processes are gathered.
            Default: 'cpu'.
        collect_dir (str, optional): Folder that all processes share, for 'cpu'.

    Raises:
        UserError: For another metric, or settings with which it has no score for every class.
    """
    default_prefix = ''  # Without one mmengine warns.

    def __init__(self,
                 metric: dict,
                 collect_device: str = 'cpu',
                 collect_dir: str | None = None) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir)
        self.metric = METRICS.build(metric)
        per_class.check_metric(self.metric)

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        """Classes and whatever else the data set says of itself."""
        self._dataset_meta = self.metric.dataset_meta = dataset_meta

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Have the metric take in a batch."""
        self.metric.process(data_batch, data_samples)
        self.results = self.metric.results

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Scores by name, of what the metric keeps of all images."""
        self.metric.results = results
        scores = per_class.class_scores(self.metric, len(results))
        self.metric.results = []
        return {name if kind == 'total' else f'{kind}/{name}': float(value)
                for (kind, name), value in scores.items()}
