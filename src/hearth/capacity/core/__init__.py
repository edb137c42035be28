"""Which node takes a pod. No I/O."""
