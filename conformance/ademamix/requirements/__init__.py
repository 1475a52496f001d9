"""What AdEMAMix requires: each rule of arXiv:2409.03137, or of its host, declared beside the check that tests it."""

# isort: off
# The order of registration decides in which dtype a case runs where cases take turns: a record can then be compared with
# an older one.
from conformance.ademamix.requirements.base import REQUIREMENTS
from conformance.ademamix.requirements import update_rule, schedules, runs
from conformance.ademamix.requirements import properties, distribution, stochastic_rounding, dtypes_and_sizes
from conformance.ademamix.requirements import combined, edges
# isort: on

__all__ = ["REQUIREMENTS", "combined", "distribution", "dtypes_and_sizes", "edges", "properties", "runs", "schedules"]
__all__ += ["stochastic_rounding", "update_rule"]
