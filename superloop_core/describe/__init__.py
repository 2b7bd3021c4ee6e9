"""What ``superloop describe`` and ``superloop validate`` report."""
