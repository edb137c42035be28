"""What the commands decide: no terminal, no files, no network."""
