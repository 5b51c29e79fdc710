"""Fine-tuning on several devices or machines: the same losses as on one, for the same batches.

    python examples/distributed.py --encoder=... --preprocessor=... --strategy=mirrored

mirrored: the devices of this machine (--cpus logical ones where there is no accelerator).
multi_worker: one process a machine, each with its own TF_CONFIG:
    {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
     "task": {"type": "worker", "index": 0}}
parameter_server: the same with a "chief", which runs the program, "worker"s, which compute, and
    "ps"s, which keep the variables; start it on all of them.
"""

import argparse
import json
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401 (the preprocessor's operations)
import tf_keras

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--encoder", required=True, help="SavedModel of the encoder")
PARSER.add_argument("--preprocessor", required=True, help="SavedModel of the preprocessor")
PARSER.add_argument(
    "--strategy",
    choices=["one", "mirrored", "multi_worker", "parameter_server"],
    default="one",
    help="(%(default)s)",
)
PARSER.add_argument("--cpus", type=int, default=2, help="logical processors (%(default)s)")
PARSER.add_argument("--steps", type=int, default=4, help="of training (%(default)s)")
PARSER.add_argument("--batch_size", type=int, default=8, help="of all together (%(default)s)")

TEXTS = [
    "a cat sat",
    "the dog ran far away",
    "it rains",
    "we eat",
    "no",
    "a b c d e f",
    "",
    "i see",
]


def make_strategy(name: str, cpus: int) -> tf.distribute.Strategy:
    """The strategy; it has to be the first thing that TensorFlow is asked for."""
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "parameter_server":
        return tf.distribute.ParameterServerStrategy(cluster())
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU":
        logical = [tf.config.LogicalDeviceConfiguration()] * cpus
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], logical
        )
    return tf.distribute.MirroredStrategy(tf.config.list_logical_devices(kind))


def cluster() -> tf.distribute.cluster_resolver.ClusterResolver:
    """What TF_CONFIG says; a worker or parameter server goes no further, but serves."""
    found = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if found.task_type in ("worker", "ps"):
        spec, protocol = found.cluster_spec(), found.rpc_layer or "grpc"
        tf.distribute.Server(spec, found.task_type, found.task_id, protocol=protocol).join()
    return found


def batches(preprocessor: str, batch_size: int) -> tf.data.Dataset:
    """Global batches of encoder inputs and targets; a strategy gives each device its share."""
    prepare = hub.load(preprocessor)  # outside of the strategy's scope: part of the input pipeline
    targets = [[float(len(text) % 2)] for text in TEXTS]
    data = tf.data.Dataset.from_tensor_slices((TEXTS, targets)).repeat().batch(batch_size)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return data.map(lambda texts, y: (prepare(texts), y)).prefetch(2).with_options(options)


def build(encoder: str, length: int) -> tf_keras.Model:
    """The encoder's inputs -> [B, 1]; variables are made in the scope that this is called in."""
    names = ("input_word_ids", "input_mask", "input_type_ids")
    inputs = {name: tf_keras.Input((length,), dtype=tf.int32, name=name) for name in names}
    pooled = hub.KerasLayer(encoder, trainable=True)(inputs)["pooled_output"]
    zeros = "zeros"  # so that every run starts alike
    return tf_keras.Model(inputs, tf_keras.layers.Dense(1, kernel_initializer=zeros)(pooled))


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Trains a few steps; prints and returns the loss of each, over the global batch."""
    args = PARSER.parse_args(arguments)
    strategy = make_strategy(args.strategy, args.cpus)
    data = batches(args.preprocessor, args.batch_size)
    with strategy.scope():
        model = build(args.encoder, data.element_spec[0]["input_mask"].shape[1])
        optimizer = tf_keras.optimizers.SGD(0.05)
    coordinator = None
    if args.strategy == "parameter_server":
        coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    else:
        data = strategy.experimental_distribute_dataset(data)
    distributed = iter(data)

    def step(inputs: dict[str, tf.Tensor], targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            # training=False: dropout draws other numbers on every device. Leave it out to train.
            errors = tf.square(model(inputs, training=False) - targets)
            loss = tf.nn.compute_average_loss(errors[:, 0], global_batch_size=args.batch_size)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    @tf.function
    def global_step(inputs: dict[str, tf.Tensor], targets: tf.Tensor) -> tf.Tensor:
        losses = strategy.run(step, (inputs, targets))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    def trained(inputs: dict[str, tf.Tensor], targets: tf.Tensor) -> float:
        if coordinator is None:
            return float(global_step(inputs, targets))
        # Waits for every step, to have the losses of one device. Leave `fetch` out to train.
        return float(coordinator.schedule(global_step, args=(inputs, targets)).fetch())

    losses = [trained(*next(distributed)) for _ in range(args.steps)]
    print(json.dumps({"replicas": strategy.num_replicas_in_sync, "losses": losses}))
    return losses


if __name__ == "__main__":
    main()
