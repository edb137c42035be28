"""Windows and decisions. No I/O."""
