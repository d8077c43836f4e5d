"""Benchmarks: figures with their bars, side by side with what a user would take instead, in one run."""
