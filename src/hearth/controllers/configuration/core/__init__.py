"""What a Configuration decides: which Revision is the newest made and the newest ready."""
