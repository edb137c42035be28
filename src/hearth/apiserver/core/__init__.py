"""What the API server decides: what a path means, what becomes of an object. No I/O."""
