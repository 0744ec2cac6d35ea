"""What backpressure.sh measures, one module per measurement."""
