"""Turns several named losses into one scalar. Depends on torch alone, so that another Dreamer can import it."""

from hdream_core.balancers.dynamic_weight_average import DynamicWeightAverage
from hdream_core.balancers.harmony import Balancer, BalancerError, FixedWeights, Harmony, analytic_weight
from hdream_core.balancers.nash_mtl import NashMTL
from hdream_core.balancers.uncertainty_weighting import UncertaintyWeighting

__all__ = [
    "Balancer",
    "BalancerError",
    "DynamicWeightAverage",
    "FixedWeights",
    "Harmony",
    "NashMTL",
    "UncertaintyWeighting",
    "analytic_weight",
]
