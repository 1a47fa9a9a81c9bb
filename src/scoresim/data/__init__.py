"""From scores on disk to verified pairs of image and notes: sources, passages, shards, batches."""
