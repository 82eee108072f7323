"""What the commands do; :mod:`levylearn.cli` reads their arguments and prints."""
