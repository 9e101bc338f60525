"""Checkpoints: the state of threads between runs."""
