"""What a model did, what it would do otherwise, and which write matters for which answer."""
