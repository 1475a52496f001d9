"""How an AdEMAMix is judged: the rules, the cases that tell them apart, and the workloads."""
