"""What the webhooks answer."""
