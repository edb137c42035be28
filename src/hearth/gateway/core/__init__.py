"""What Envoy must know, from Routes, Revisions and pods. No I/O."""
