"""Memories of the last entries, and of gated slots."""
