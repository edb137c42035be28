"""What a Revision decides: how many pods it starts with, why it fails, what its status says."""
