"""What a Route decides: which revisions it means, under which names, and whether they are live."""
