"""Encoders in torch that `transformers` has no class for, a file each, from public descriptions.

These are papers or, where there is none (see `JinaBertQkPostNorm`), another implementation.

They share no line with the encoders that are compared with them, nor with the code that came with
the checkpoints. Parameters have the names that the checkpoints give them. There is no dropout.
"""
