"""Which warm pod fits, and who gets it. No I/O."""
