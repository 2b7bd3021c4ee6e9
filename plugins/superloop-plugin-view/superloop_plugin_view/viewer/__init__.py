"""The viewer: one HTML file that shows a memory timestep by timestep."""
