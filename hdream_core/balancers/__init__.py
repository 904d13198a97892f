"""How several named losses become one scalar. Depends on torch alone, so that another Dreamer can import it."""

from hdream_core.balancers.harmony import Balancer, BalancerError, FixedWeights, Harmony, analytic_weight

__all__ = ["Balancer", "BalancerError", "FixedWeights", "Harmony", "analytic_weight"]
