"""hwrt.zoo."""
