"""The adaptation layer: candidates, tried in child processes, gated by accuracy, become a plan."""
