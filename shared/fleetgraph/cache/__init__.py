"""Caches: what nodes wrote for an input, so that they need not run again for the same one."""
