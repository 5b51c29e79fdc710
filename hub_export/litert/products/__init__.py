"""What copies of each product that takes texts give, one file a product, called as that is."""
