"""The cell and the memory of xLSTM."""
