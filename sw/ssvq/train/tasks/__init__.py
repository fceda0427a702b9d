"""What models are trained for: data, losses and metrics behind one interface."""
