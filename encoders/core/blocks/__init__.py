"""What blocks are built of: layers, activations, embeddings, mixtures of experts."""
