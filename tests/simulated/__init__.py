"""The product's own jobs on the simulated swarm, in virtual time."""
