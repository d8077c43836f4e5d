"""What must hold for every implementation of the same thing alike."""
