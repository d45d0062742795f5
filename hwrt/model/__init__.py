"""hwrt.model."""
