"""hwrt.benchmark."""
