"""Memories that learn at each timestep: weights as memory."""
