"""Where integers are computed that say which token goes where.

On a GPU each of the small operations that plan a layout would cost a launch, and some of them a
copy to the host and back, as kernels of int32 often work in its memory; on the host, what is copied
are the finished indices.
"""

import functools

import tensorflow as tf

planned = functools.partial(tf.device, "/device:CPU:0")
"""A context whose operations are the host's, on every machine."""
