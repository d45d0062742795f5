"""hwrt.measure."""
