"""Linear state-space memories and cells."""
