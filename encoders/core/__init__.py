"""The machinery that every encoder shares.

Axis glossary, used in every shape note of this package:

    B  batch                 S  sequence length, padding included
    N  tokens of a batch     D  hidden width
    H  attention heads       K  width of one head, mostly D / H
    G  heads of keys and values, where they are fewer than H
    F  feed-forward width    V  vocabulary size
    E  embedding width, where it is not D
    P  positions             T  token types
    L  layers
"""
