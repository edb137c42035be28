"""What a Service decides: when its Route may follow, and what its status says."""
