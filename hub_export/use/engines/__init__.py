"""What engines for corpora larger than one machine ask of an export, each in its own terms."""
