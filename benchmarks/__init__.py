"""One claim a file, ``bench_<claim>.py``; ``python -m benchmarks [CLAIM…]`` runs them for real."""
