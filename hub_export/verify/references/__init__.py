"""The source in torch, alone and in the libraries around it. Only this room runs torch."""
