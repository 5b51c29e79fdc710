"""What is written about files of texts, read and written piece by piece."""
