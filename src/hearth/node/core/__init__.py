"""What becomes of a pod, and what its status says. No I/O."""
