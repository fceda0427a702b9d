"""From a graph to a network in the core's integers, and that network's own passes."""
