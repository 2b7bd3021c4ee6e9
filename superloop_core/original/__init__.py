"""The interface of the original superloop (csirmaz/superloop, 2018)."""

from superloop_core.config.original import OriginalConfig, is_original, read_original

__all__ = ["OriginalConfig", "is_original", "read_original"]
