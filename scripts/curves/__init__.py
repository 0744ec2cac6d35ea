"""Utilization against latency: what is measured, drawn and written by scripts/curves.sh."""
