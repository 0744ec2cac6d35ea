"""The measurements of backpressure.sh, one module each."""
