"""What a DomainMapping refers to, and its status."""
