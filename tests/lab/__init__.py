"""The lab: a real swarm on one machine. Several Docker engines, each in a network namespace of its own.

What works and what does not is in docs/lab.md. The lab never touches an engine that it did not start.
"""
