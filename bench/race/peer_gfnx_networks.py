"""The networks of gfnx's side of the race. ready() is what is evaluated: it is called once for many states."""
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from gfnx.networks.transformer import Encoder


class MLP(eqx.Module):
    """Logits of P_F, and of P_B where it has a head, from one trunk."""

    network: eqx.nn.MLP
    symbols: int = eqx.field(static=True)
    shift: int = eqx.field(static=True)
    first: int = eqx.field(static=True)

    def __init__(self, sizes, kind, key):
        self.network = eqx.nn.MLP(*sizes, key=key)
        self.symbols, self.shift, self.first = kind.symbols, kind.shift, kind.first

    def ready(self):
        return self

    def __call__(self, obs):
        if self.symbols > 0:  # gfnx observes numbers; one feature for each value of each position
            obs = jax.nn.one_hot(obs[self.first:].astype(jnp.int32) + self.shift, self.symbols)
        return self.network(obs.astype(jnp.float32).reshape(-1))


class Transformer(eqx.Module):
    """gfnx's encoder, the mean over positions of one linear layer on it, as in gfnx's own runs on bit sequences."""

    encoder: Encoder
    head: eqx.nn.Linear

    def __init__(self, env, policy, n_out, key):
        keys = jax.random.split(key)
        width = policy['width']
        self.encoder = Encoder(env.ntoken, env.max_length, width, width, policy['feed_forward'], policy['layers'],
                               policy['heads'], 0.0, 0.0, env.pad_token, key=keys[0])
        self.head = eqx.nn.Linear(width, n_out, key=keys[1])

    def ready(self):
        return self

    def __call__(self, obs):
        x = self.encoder(obs, jnp.arange(obs.shape[0]))['layers_out'][-1]
        return jax.vmap(self.head)(x).mean(axis=0)


class GraphNetwork(eqx.Module):
    """fluvial's graph_network of one layer (src/learn/policy_graph.c): its tensors by their names there, and its exit
    joint. The network is evaluated as Folded below."""

    tensors: dict
    d: int = eqx.field(static=True)
    heads: int = eqx.field(static=True)

    def __init__(self, d, policy, key):
        self.d, self.heads = d, policy['heads']
        h, a = policy['width'], policy['heads'] * policy['key_size']
        self.tensors = {'temperature': jnp.array(np.log(np.e - 1.0), dtype=jnp.float32)}

        def normal(name, rows, columns, scale):
            draw = jax.random.fold_in(key, len(self.tensors))
            self.tensors[name] = scale * jax.random.truncated_normal(draw, -2.0, 2.0, (rows, columns))

        def linear(name, rows, columns, scale=1.0):
            normal(f'{name}.weight', rows, columns, scale / np.sqrt(rows))
            self.tensors[f'{name}.bias'] = jnp.zeros(columns)

        normal('nodes', d, h, 1.0)
        normal('edge', 1, h, 1.0)
        attention = np.sqrt(2.0) / 0.87962566103423978
        # A row of the layer's first products is the global feature's, which is 0.
        for name, rows, columns in [('0.edge', 3 * h + 1, h), ('0.node', 3 * h + 1, h), ('0.global', 2 * h + 1, h),
                                    ('senders', a, h), ('receivers', a, h), ('stop', h, 1)]:
            linear(f'{name}.0', rows, h)
            linear(f'{name}.1', h, columns)
        linear('projection', h, 3 * h)
        for name in ('query', 'key', 'value'):
            linear(name, h, a, attention)
        linear('attention', a, a, attention)

    def ready(self):
        return Folded(self)


class Folded(eqx.Module):
    """The products of weights with weights, once for many states. What an edge becomes in the one layer depends on its
    ends only, so that a graph's sums over edges are one product of its adjacency with a table of d^2 rows; and Linears
    that follow each other are one. Iterations take half the time of those with the formulas as they stand and d^2
    masked edges, and 0.4 of those with an MLP for each of a padded list of edges. Of d nodes XLA sums products faster
    in the attention than it multiplies many small matrices."""

    sums: jax.Array  # [d^2, (d + 1) h]: what an edge adds to each node's hidden units, and to the global's
    base: jax.Array
    qkv: tuple
    mix: tuple  # behind the attention: both node MLPs' hidden units
    pair: tuple  # second Linears of senders and receivers: a bilinear form of hidden units
    ends: tuple
    d: int = eqx.field(static=True)
    heads: int = eqx.field(static=True)

    def __init__(self, network):
        t, d, self.heads = network.tensors, network.d, network.heads
        h = t['nodes'].shape[1]

        def part(name, k):
            return t[f'{name}.weight'][k * h:(k + 1) * h]

        def then(first, name):  # the Linear `name` on x W + b
            return first[0] @ t[f'{name}.weight'], first[1] @ t[f'{name}.weight'] + t[f'{name}.bias']

        def linear(name):
            return t[f'{name}.weight'], t[f'{name}.bias']

        self.d, nodes = d, t['nodes']
        begin, end = jnp.repeat(jnp.arange(d), d), jnp.tile(jnp.arange(d), d)
        edge = jax.nn.relu(t['edge'] @ part('0.edge.0', 0) + (nodes @ part('0.edge.0', 1))[begin] +
                           (nodes @ part('0.edge.0', 2))[end] + t['0.edge.0.bias'])
        edge = edge @ t['0.edge.1.weight'] + t['0.edge.1.bias']
        at = jnp.eye(d)
        to_nodes = (at[begin][:, :, None] * (edge @ part('0.node.0', 1))[:, None] +
                    at[end][:, :, None] * (edge @ part('0.node.0', 2))[:, None])
        self.sums = jnp.concatenate([to_nodes.reshape(d * d, d * h), edge @ part('0.global.0', 1)], axis=1)
        self.base = nodes @ part('0.node.0', 0) + t['0.node.0.bias']
        weight, bias = linear('0.node.1')
        projections = zip(('query', 'key', 'value'), jnp.split(t['projection.weight'], 3, axis=1),
                          jnp.split(t['projection.bias'], 3))
        parts = [then((weight @ w, (nodes + bias) @ w + b), name) for name, w, b in projections]
        self.qkv = tuple(jnp.concatenate(x, axis=1) for x in zip(*parts))
        parts = [then(linear('attention'), name) for name in ('senders.0', 'receivers.0')]
        self.mix = tuple(jnp.concatenate(x, axis=-1) for x in zip(*parts))
        (ws, bs), (wr, br) = linear('senders.1'), linear('receivers.1')
        one = 1.0 / jax.nn.softplus(t['temperature'])
        self.pair = one * ws @ wr.T, one * ws @ br, one * wr @ bs, one * bs @ br
        into = part('0.global.0', 0)
        self.ends = ((weight @ into, d * bias @ into + t['0.global.0.bias']), then(linear('0.global.1'), 'stop.0'),
                     linear('stop.1'))

    def __call__(self, adjacency):
        d, heads = self.d, self.heads
        sums = adjacency.reshape(-1).astype(jnp.float32) @ self.sums
        n = jax.nn.relu(sums.reshape(d + 1, -1)[:d] + self.base)
        q, k, v = [x.reshape(d, heads, -1) for x in jnp.split(n @ self.qkv[0] + self.qkv[1], 3, axis=1)]
        weights = jax.nn.softmax((q[:, None] * k).sum(axis=-1) / np.sqrt(q.shape[-1]), axis=1)  # [i, j, heads]
        x = (weights[..., None] * v).sum(axis=1).reshape(d, -1)
        s, r = jnp.split(jax.nn.relu(x @ self.mix[0] + self.mix[1]), 2, axis=1)
        pairs = (s @ self.pair[0] + self.pair[2]) @ r.T + (s @ self.pair[1] + self.pair[3])[:, None]
        into, stop, last = self.ends
        g = jax.nn.relu(n.sum(axis=0) @ into[0] + sums[-into[0].shape[1]:] + into[1])
        g = jax.nn.relu(g @ stop[0] + stop[1])
        return jnp.concatenate([pairs.reshape(-1), g @ last[0] + last[1]])
