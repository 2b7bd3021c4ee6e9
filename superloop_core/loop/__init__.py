"""One timestep of a superloop, and all of them."""
