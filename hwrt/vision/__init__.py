"""hwrt.vision."""
