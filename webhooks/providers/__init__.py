"""One file a provider; the folder is the registry. Each file's docstring names its source."""
