"""One claim a file: ``bench_<claim>.py``. ``python -m benchmarks [CLAIM…]`` runs them on the real thing."""
