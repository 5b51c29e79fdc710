"""Finding a checkpoint and reading it: whatever it is becomes one neutral `Checkpoint`."""
