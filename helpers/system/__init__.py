"""The ground: files, signals, checkpoints and the tests' switch. It knows nothing of pictures and losses."""
