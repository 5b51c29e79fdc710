"""From pieces to the padded inputs of an encoder."""
