"""What is done to whom, in which order, on which machine: steps, their graph, and how a run survives failures."""
