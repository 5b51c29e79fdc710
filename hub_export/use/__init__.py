"""What consumers of an export import. It stands on TensorFlow and the contract alone."""
