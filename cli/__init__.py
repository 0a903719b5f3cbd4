"""The ``tersor`` command: the only place that knows every other folder."""
