"""Checkpoints of TensorFlow 1, as Google published BERT and ALBERT."""
