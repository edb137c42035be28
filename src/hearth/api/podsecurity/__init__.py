"""Pod Security: what the labels of a namespace let its pods be.

``levels`` reads the labels; ``baseline`` and ``restricted`` are the checks of the two levels, as of
each version of Kubernetes from 1.25 on; ``violations`` applies them.

Source: k8s.io/pod-security-admission.
"""

from hearth.api.podsecurity.evaluation import existing_violations, violations
from hearth.api.podsecurity.levels import Level, Policy, label_faults, policy_of

__all__ = ["Level", "Policy", "existing_violations", "label_faults", "policy_of", "violations"]
