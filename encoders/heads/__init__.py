"""What may stand on an encoder. Every head keeps the protocol of `heads.head`."""
