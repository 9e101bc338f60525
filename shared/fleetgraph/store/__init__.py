"""Stores: memory that outlives a thread, under namespaces and keys."""
