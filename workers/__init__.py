"""Processes: one file per process of docker-compose.yml, and ``up``, which runs all of them in one command."""
