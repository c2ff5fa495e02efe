"""Micro-benchmarks: what plugins bring, how it is measured, and how two revisions are compared."""
