"""What changes weights: objectives, masking, the optimiser and the one training loop."""
