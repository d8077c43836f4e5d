"""The whole way on real parts: engines, registry, git, Redis, and Nodewise as processes of its own."""
