"""Benchmarks, each runnable alone; results are ratios within one run."""
