"""The store's decisions: keys, revisions, compare-and-swap, what a watcher is owed. No I/O."""
