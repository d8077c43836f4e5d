"""Nodewise ships what you push to a Docker Swarm, node by node, and takes it back when it turns out bad."""

__version__ = "0.1.0"
