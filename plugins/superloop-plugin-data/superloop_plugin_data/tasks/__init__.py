"""The tasks, one module each, on their base class in ``stored``."""
