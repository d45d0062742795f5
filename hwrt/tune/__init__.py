"""hwrt.tune."""
