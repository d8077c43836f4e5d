"""IN: what others tell us. Verify, parse, hand over, answer."""
