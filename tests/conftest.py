"""Fixtures for the whole suite."""

pytest_plugins = ["tests.lab.fixtures"]
