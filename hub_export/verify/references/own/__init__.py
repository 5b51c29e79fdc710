"""Encoders in torch that `transformers` has no class for, one file each, written from papers.

They share no line with the encoders that are compared with them, nor with the code that came with
the checkpoints. Parameters have the names that the checkpoints give them. There is no dropout.
"""
