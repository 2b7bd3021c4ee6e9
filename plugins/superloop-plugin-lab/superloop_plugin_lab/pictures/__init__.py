"""Pictures of a run: the traces of its systems, and its accuracy against length."""
