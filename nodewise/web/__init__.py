"""The HTTP API. Reads through ``nodewise.answers``, acts through ``nodewise.intake``; knows no swarm and no queue."""
