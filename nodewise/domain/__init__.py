"""What Nodewise is about, in values and pure functions. Knows the standard library and nothing else."""
