"""JAX with Flax and Optax: the network of keras (784-128-10, ReLU, Dropout 0.2, Adam, 3 epochs, batch 32)."""
import machine_energy as me
import me_example

options = me_example.start("jax", __doc__, {"flax": "Flax", "optax": "Optax", "jax": "JAX"})

with me.region("import"):
    import jax
    import numpy as np
    import optax
    from flax import linen as nn
    from flax.training.train_state import TrainState


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, training):
        x = x.reshape((len(x), -1))
        x = nn.relu(nn.Dense(128)(x))
        x = nn.Dropout(0.2, deterministic=not training)(x)
        return nn.Dense(10)(x)


@jax.jit
def train_step(state, x, y, key):
    def mean_loss(params):
        logits = state.apply_fn(params, x, training=True, rngs={"dropout": jax.random.fold_in(key, state.step)})
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    loss, gradients = jax.value_and_grad(mean_loss)(state.params)
    return state.apply_gradients(grads=gradients), loss


@jax.jit
def evaluate(state, x, y):
    logits = state.apply_fn(state.params, x, training=False)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
    return loss, (logits.argmax(1) == y).mean()


with me.region("load"):
    (x_train, y_train), (x_test, y_test) = me_example.load(options)

with me.region("build"):
    rng = np.random.default_rng(options.seed)
    init_key, dropout_key = jax.random.split(jax.random.key(options.seed))
    model = Network()
    params = model.init(init_key, x_train[:1], training=False)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.001))

# The step is compiled when the first batch comes, and once more for a last batch that is smaller: that is part of
# the training for whoever waits for it. XLA uses all cores of the affinity by itself, and the first GPU.
with me.region("train"):
    for epoch in range(options.epochs):
        order = rng.permutation(len(x_train))
        losses = []
        for first in range(0, len(order), options.batch):
            rows = order[first:first + options.batch]
            state, loss = train_step(state, x_train[rows], y_train[rows], dropout_key)
            losses.append(loss)
        print(f"epoch {epoch + 1}/{options.epochs}: loss {np.mean(jax.device_get(losses)):.4f}")
    jax.block_until_ready(state)

with me.region("test"):
    loss, accuracy = jax.device_get(evaluate(state, x_test, y_test))

me_example.report(len(x_train) * options.epochs, float(accuracy), float(loss))
