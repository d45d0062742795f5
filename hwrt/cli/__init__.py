"""hwrt.cli."""
