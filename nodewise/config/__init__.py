"""What Nodewise is told from outside: settings, the file nodewise.yaml, and the labels of services."""
