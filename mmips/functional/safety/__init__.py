# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
r"""How far a classifier's confidence can be trusted: the safety metrics of the IPS paper.

Table 10 of the paper prints AURC, FPR, ECE and the Brier score; the others are the usual
ones beside them. Every function takes

- ``probs``: class probabilities of shape (N, K), any float dtype, rows that sum to 1;
- ``labels``: true classes of shape (N,), integers from 0 to K - 1,

as NumPy arrays, computes in float64, and returns a float. Sample i is predicted to be the
class of the largest probability (the first of equal ones), its confidence :math:`c_i` is that
probability, and its error :math:`e_i` is 1 if the prediction is wrong, else 0.

No value depends on the order of the samples, beyond float64's rounding. Input that is not of
this kind raises a ``ValueError`` (:func:`check_predictions`).
"""
from .calibration import ReliabilityBins, adaptive_ece, classwise_ece, ece, reliability_bins
from .checks import check_num_bins, check_predictions
from .ranking import aurc, auroc, e_aurc, fpr95, risk_coverage_curve
from .scores import BINNED, SAFETY_METRICS, brier, check_metrics, nll, safety_scores

__all__ = ['BINNED', 'SAFETY_METRICS', 'ReliabilityBins', 'adaptive_ece', 'auroc', 'aurc', 'brier',
           'check_metrics', 'check_num_bins', 'check_predictions', 'classwise_ece', 'e_aurc', 'ece',
           'fpr95', 'nll', 'reliability_bins', 'risk_coverage_curve', 'safety_scores']
