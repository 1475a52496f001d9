"""How an AdEMAMix is judged: the rules, the situations that tell them apart, and the workloads."""
