"""hwrt.machine."""
