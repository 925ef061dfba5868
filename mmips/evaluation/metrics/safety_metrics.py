# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from mmips.functional import safety
from mmips.registry import METRICS


@METRICS.register_module()
class SafetyMetrics(BaseMetric):
    """Confidence ranking and calibration of an mmpretrain classifier (IPS paper, Table 10).

    Definitions and units are those of :mod:`mmips.functional.safety`: AURC and E-AURC x1000,
    FPR at 95 % TPR, AUROC, the calibration errors and the Brier score x100, NLL in nats. The
    scores of all images are gathered and evaluated at once, so the values do not depend on the
    batch size or the number of processes; ``DefaultSampler`` repeats images to give each
    process as many, and these repetitions are cut off again.

    Args:
        metrics (str | Sequence[str]): What to report: some of 'aurc', 'e_aurc', 'fpr95',
            'auroc', 'ece', 'adaptive_ece', 'classwise_ece', 'brier', 'nll'. Default: all.
        num_bins (int): Bins of the three calibration errors. Default: 15.
        collect_device (str): 'cpu' or 'gpu', where results of several processes are gathered.
            Default: 'cpu'.
        prefix (str, optional): Replaces 'safety' in 'safety/aurc'.
        collect_dir (str, optional): Folder that all processes share, for 'cpu'.

    Raises:
        ValueError: For an unknown metric or ``num_bins`` < 1.
    """
    default_prefix = 'safety'

    def __init__(self,
                 metrics: str | Sequence[str] = tuple(safety.SAFETY_METRICS),
                 num_bins: int = 15,
                 collect_device: str = 'cpu',
                 prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.metrics = (metrics, ) if isinstance(metrics, str) else tuple(metrics)
        self.num_bins = num_bins
        safety.check_options(self.metrics, num_bins)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Keep ``pred_score`` (K,) and ``gt_label``, one class, of each sample of a batch."""
        scores, labels = zip(*map(_read, data_samples))
        # Now, and not in compute_metrics: a bad network is seen in its first batch, and in
        # every process, where an error in the first alone would leave the others waiting.
        safety.check_predictions(np.stack(scores), np.stack(labels))
        self.results += zip(scores, labels)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Values by the names in ``metrics``, of the scores and label of every sample."""
        scores, labels = zip(*results)
        return safety.safety_scores(np.stack(scores), np.stack(labels), self.metrics,
                                    self.num_bins)


def _read(sample: Mapping) -> tuple[np.ndarray, np.ndarray]:
    if 'pred_score' not in sample:
        raise ValueError('SafetyMetrics needs the probabilities of all classes, but a sample has '
                         f'no pred_score, only {", ".join(sorted(sample))}.')
    label = torch.as_tensor(sample.get('gt_label', [])).cpu()
    if label.numel() != 1:
        raise ValueError('SafetyMetrics needs exactly one class a sample, but got gt_label='
                         f'{label.tolist()}. Multi-label and unlabelled sets have no such scores.')
    score = torch.as_tensor(sample['pred_score']).detach().cpu()
    # NumPy has no bfloat16. And as an array of its own: pickled for the other processes, a row
    # of a batch's tensor would take the whole batch along.
    score = score.float() if score.dtype == torch.bfloat16 else score
    return score.numpy().copy(), label.reshape(()).numpy()
