"""What the user touches."""
