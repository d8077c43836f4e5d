"""Verbs: what jobs do. Plain functions of (deps, id); none of them knows what a queue is made of."""
