"""What breaks in the middle: processes killed, messages doubled and lost."""
