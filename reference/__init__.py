"""The reference: what each published system computes, in NumPy float64, and how far an honest implementation may be off.

Nothing here imports anything of ours outside this package, and nothing imports torch.
"""
