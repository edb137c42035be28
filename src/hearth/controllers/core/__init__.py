"""What all serving controllers share: condition sets, Knative's defaults, names and labels."""
