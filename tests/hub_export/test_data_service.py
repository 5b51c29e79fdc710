"""The preprocessor in a tf.data service: one dispatcher, two workers."""

import numpy as np
import tensorflow as tf

import hub_export

TEXTS = [
    f"{a} bad {b} cab" * (1 + n % 3)
    for n, (a, b) in enumerate(zip("abcdefgh", "hgfedcba", strict=True))
]


def test_workers_preprocess(calm_export: hub_export.Export) -> None:
    """Each text comes once, as the preprocessor gives it here."""
    service = tf.data.experimental.service
    preprocessor = tf.saved_model.load(str(calm_export.paths["preprocessor"]))
    dispatcher = service.DispatchServer()
    address = dispatcher.target.partition("://")[2]
    workers = [service.WorkerServer(service.WorkerConfig(address)) for _ in range(2)]
    data = tf.data.Dataset.from_tensor_slices(TEXTS).batch(2).map(preprocessor)
    distributed = data.apply(service.distribute(service.ShardingPolicy.DYNAMIC, dispatcher.target))
    batches = [{name: each.numpy() for name, each in inputs.items()} for inputs in distributed]
    right = {name: each.numpy() for name, each in preprocessor(tf.constant(TEXTS)).items()}
    assert len(batches) == 4
    for name, rows in right.items():
        found = np.concatenate([batch[name] for batch in batches])
        assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, rows.tolist()))
    assert dispatcher._num_workers() == len(workers) == 2
