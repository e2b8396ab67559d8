"""gfnx, driven through its own interface: environments, rewards, rollouts. The policy network, the loss and the update
are the user's to write there; they are here, with equinox and optax. One jitted call makes `block` whole iterations
(rollout, loss, gradient, update) by lax.scan. XLA's older runtime (--xla_cpu_use_thunk_runtime=false) was tried: 7 to
38 % faster in some settings of one thread, slower in one, and XLA aborts in it in others, so it is the default one.
"""
import time

import harness

begun = time.perf_counter()
spec = harness.specification()

from importlib.metadata import version  # noqa: E402

import equinox as eqx  # noqa: E402
import gfnx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from gfnx.reward.dag_likelihood import BGeScore  # noqa: E402
from gfnx.reward.dag_prior import UniformDAGPrior  # noqa: E402

import exact  # noqa: E402
import peer_gfnx_networks as networks  # noqa: E402


class Hypergrid:
    symbols, shift, first = 0, 0, 0  # its observation is one-hot already

    def make(self, spec, key):
        env, reward = spec['env'], spec['reward']
        module = gfnx.GeneralHypergridRewardModule(R0=reward['r0'], R1=reward['r1'], R2=reward['r2'])
        self.env = gfnx.HypergridEnvironment(module, dim=env['dim'], side=env['side'])
        return self.env, self.env.init(key)

    def states(self, rows):
        return self.env.get_init_state(len(rows)).replace(state=jnp.asarray(rows, dtype=jnp.int32))

    def all_rows(self):
        return exact.hypergrid_states(self.env.dim, self.env.side)

    def jsd(self, logits, log_r):
        return exact.hypergrid_jsd(logits, log_r, self.env.dim, self.env.side)


class Ising:
    symbols, shift, first = 3, 1, 0

    def make(self, spec, key):
        side = spec['env']['side']
        at = np.arange(side * side).reshape(side, side)
        j = np.zeros((side * side, side * side), dtype=np.float32)
        for there in (np.roll(at, -1, axis=0), np.roll(at, -1, axis=1)):
            j[at.ravel(), there.ravel()] = j[there.ravel(), at.ravel()] = spec['reward']['j']
        self.env = gfnx.IsingEnvironment(gfnx.IsingRewardModule(), dim=side * side)
        params = self.env.init(key)
        return self.env, params.replace(reward_params=params.reward_params.replace(J=jnp.asarray(j)))

    def states(self, rows):
        return self.env.get_init_state(len(rows)).replace(state=jnp.asarray(rows, dtype=jnp.int8))


class Bits:
    shift, first = 0, 1  # a token for the start comes first

    def make(self, spec, key):
        env, modes = spec['env'], harness.modes(spec)
        self.symbols = 2**env['word'] + 1
        module = gfnx.BitseqRewardModule(sentence_len=env['length'], k=env['word'], mode_set_size=len(modes),
                                         reward_exponent=spec['reward']['exponent'])
        self.env = gfnx.BitseqEnvironment(module, n=env['length'], k=env['word'])
        return self.env, self.env.init(key).replace(reward_params={'mode_set': jnp.asarray(modes, dtype=bool)})

    def states(self, rows):
        return self.env.get_init_state(len(rows)).replace(tokens=jnp.asarray(rows, dtype=jnp.int32))


class Dag:
    symbols, shift, first = 0, 0, 0

    def make(self, spec, key):
        d = spec['env']['variables']
        self.graphs = exact.Dags(d)
        data = jnp.asarray(harness.columns(spec['data']))
        module = gfnx.DAGRewardModule(prior=UniformDAGPrior(d), likelihood=BGeScore(data=data))
        self.env = gfnx.DAGEnvironment(module, num_variables=d)
        return self.env, self.env.init(key)

    def states(self, rows):
        d = self.env.num_variables
        rows = jnp.asarray(rows, dtype=bool).reshape(-1, d, d)
        return self.env.get_init_state(len(rows)).replace(adjacency_matrix=rows)

    def all_rows(self):
        return self.graphs.adjacency(self.graphs.codes)

    def jsd(self, logits, log_r):
        return self.graphs.jsd(logits, log_r)


KINDS = {'hypergrid': Hypergrid, 'ising': Ising, 'bit_sequence': Bits, 'dag': Dag}


class Gfnx(harness.Program):
    name = 'gfnx'

    def __init__(self, spec):
        self.spec = spec
        self.versions = {p: version(p) for p in ('gfnx', 'jax', 'jaxlib', 'equinox', 'optax', 'numpy')}
        key, model_key, env_key = jax.random.split(jax.random.PRNGKey(spec['seed']), 3)
        self.kind = KINDS[spec['env']['name']]()
        self.env, self.env_params = self.kind.make(spec, env_key)
        self.n_forward, self.n_backward = self.env.action_space.n, self.env.backward_action_space.n
        params, self.static = eqx.partition(self.make_model(model_key), eqx.is_array)
        self.learns_log_z = spec['objective'] == 'tb'
        self.start(params, key)
        self.compile()

    def make_model(self, key):
        policy = self.spec['policy']
        n_out = self.n_forward + (self.n_backward if policy['p_b'] == 'tied' else 0)
        if policy['name'] == 'graph_network':
            return networks.GraphNetwork(self.env.num_variables, policy, key)
        if policy['name'] == 'transformer':
            return networks.Transformer(self.env, policy, n_out, key)
        n_in = (int(np.prod(self.env.observation_space.shape)) - self.kind.first) * max(self.kind.symbols, 1)
        return networks.MLP((n_in, n_out, policy['width'], policy['layers']), self.kind, key)

    def start(self, model, key):
        params = {'model': model, 'log_z': jnp.array(0.0)}
        self.parameters = sum(x.size for x in jax.tree.leaves(model)) + self.learns_log_z
        labels = {'model': jax.tree.map(lambda _: 'model', model), 'log_z': 'log_z'}
        self.optimiser = optax.multi_transform(
            {'model': optax.adam(self.spec['lr']), 'log_z': optax.adam(self.spec.get('lr_log_z', 0.1))}, labels)
        target = jax.tree.map(jnp.copy, model) if 'target_every' in self.spec else None
        self.state = {'params': params, 'optimiser': self.optimiser.init(params), 'key': key,
                      'iteration': jnp.array(0), 'target': target}

    def compile(self):
        """Each way to make an iteration, and the choice of the faster."""
        self.block = self.spec['gfnx_block']
        ways = {'tb': {'gradient through the rollout': self.through, 'states evaluated again': self.again},
                'modified_db': {'gradient through the rollout': self.steps_through,
                                'states evaluated again': self.steps_again}}[self.spec['objective']]
        compiled, seconds, begin = {}, {}, jax.tree.map(jnp.copy, self.state)
        for way, gradient in ways.items():
            before = time.perf_counter()
            call = jax.jit(lambda state, gradient=gradient: self.iterations(state, gradient), donate_argnums=0)
            compiled[way] = call.lower(self.state).compile()
            seconds[way] = time.perf_counter() - before

        def use(way):
            self.compiled, self.compile_seconds = compiled[way], seconds[way]

        def reset():
            self.state = begin

        self.choose(ways, use, reset)

    def ready(self, model):
        return eqx.combine(model, self.static).ready()

    def logits(self, network, obs):
        x = jax.vmap(network)(obs)
        forward, backward = x[:, :self.n_forward], x[:, self.n_forward:]
        if backward.shape[1] == 0:  # a uniform P_B
            backward = jnp.zeros((len(x), self.n_backward))
        return forward, backward

    def rollout(self, network, key, iteration):
        arrays, static = eqx.partition(network, eqx.is_array)

        def policy(key, obs, arrays):
            forward, backward = self.logits(eqx.combine(arrays, static), obs)
            logits = forward
            if 'exploration' in self.spec:
                epsilon = harness.linear(self.spec['exploration'], iteration, jnp.minimum)
                logits = gfnx.utils.apply_epsilon_greedy_vmap(key, forward, epsilon)
            return logits, {'forward_logits': forward, 'backward_logits': backward}

        return gfnx.utils.forward_rollout(key, self.spec['batch'], policy, arrays, self.env, self.env_params)[0]

    def tb(self, params, traj):
        log_pf, log_pb = gfnx.utils.forward_trajectory_log_probs(self.env, traj, self.env_params)
        log_r = jnp.where(traj.pad, 0.0, traj.log_gfn_reward).sum(axis=1)
        return jnp.mean((params['log_z'] + log_pf - log_pb - log_r)**2)

    def through(self, state, key):
        def loss(params):
            return self.tb(params, self.rollout(self.ready(params['model']), key, state['iteration']))

        return jax.grad(loss)(state['params'])

    def again(self, state, key):
        traj = self.rollout(self.ready(state['params']['model']), key, state['iteration'])

        def loss(params):
            flat = self.logits(self.ready(params['model']), traj.obs.reshape(-1, *traj.obs.shape[2:]))
            forward, backward = [x.reshape(*traj.obs.shape[:2], -1) for x in flat]
            return self.tb(params, traj.replace(info={'forward_logits': forward, 'backward_logits': backward}))

        return jax.grad(loss)(state['params'])

    def modified_db(self, params, target, traj, logits):
        """Huber's loss; log P_F(exit) of the next state by the target network, held fixed."""
        steps = gfnx.utils.split_traj_to_transitions(traj)
        env, env_params = self.env, self.env_params
        back = env.get_backward_action(steps.state, steps.action, steps.next_state, env_params)
        score = env.reward_module.delta_score(steps.state, steps.action, steps.next_state, env_params)
        none = steps.done | steps.pad

        def log_probs(logits, invalid):
            return jax.nn.log_softmax(logits, where=~invalid, axis=-1)

        def taken(x, action):
            return jnp.take_along_axis(x, action[:, None], axis=1)[:, 0]

        here = log_probs(logits(params, steps), env.get_invalid_mask(steps.state, env_params))
        forward, backward = self.logits(target, steps.next_obs)
        there = log_probs(forward, env.get_invalid_mask(steps.next_state, env_params))
        log_pb = log_probs(backward, env.get_invalid_backward_mask(steps.next_state, env_params))
        error = there[:, -1] + taken(here, steps.action) - here[:, -1] - taken(log_pb, back) - score
        return optax.huber_loss(jnp.where(none, 0.0, error)).sum() / (~none).sum()

    def steps_through(self, state, key):
        target = self.ready(state['target'])

        def loss(params):
            traj = self.rollout(self.ready(params['model']), key, state['iteration'])
            forward = traj.info['forward_logits'][:, :-1].reshape(-1, self.n_forward)
            return self.modified_db(params, target, traj, lambda params, steps: forward)

        return jax.grad(loss)(state['params'])

    def steps_again(self, state, key):
        traj = self.rollout(self.ready(state['params']['model']), key, state['iteration'])
        target = self.ready(state['target'])

        def logits(params, steps):
            return self.logits(self.ready(params['model']), steps.obs)[0]

        return jax.grad(lambda params: self.modified_db(params, target, traj, logits))(state['params'])

    def iterations(self, state, gradient):
        def iteration(state, _):
            key, sample_key = jax.random.split(state['key'])
            update, optimiser = self.optimiser.update(gradient(state, sample_key), state['optimiser'], state['params'])
            params = optax.apply_updates(state['params'], update)
            n = state['iteration'] + 1
            target = state['target']
            if target is not None:
                renew = n % self.spec['target_every'] == 0
                target = jax.tree.map(lambda new, old: jnp.where(renew, new, old), params['model'], target)
            return {'params': params, 'optimiser': optimiser, 'key': key, 'iteration': n, 'target': target}, None

        return jax.lax.scan(iteration, state, None, length=self.block)[0]

    def step(self):
        self.state = self.compiled(self.state)
        jax.block_until_ready(self.state)

    def log_z(self):
        return float(self.state['params']['log_z'])

    def log_r(self, rows):
        return np.asarray(self.env.reward_module.log_reward(self.kind.states(rows), self.env_params)).tolist()

    def jsd(self, uniform=False):
        rows = self.kind.all_rows()
        parts = np.array_split(rows, max(1, len(rows) // 20000))
        if not hasattr(self, 'evaluator'):
            self.evaluator = jax.jit(
                lambda model, states: self.logits(self.ready(model), self.env.get_obs(states, self.env_params))[0])
            self.all_log_r = np.concatenate([self.log_r(part) for part in parts])
        model = self.state['params']['model']
        logits = np.concatenate([np.asarray(self.evaluator(model, self.kind.states(part))) for part in parts])
        return self.kind.jsd(0.0 * logits if uniform else logits, self.all_log_r)


harness.serve(Gfnx(spec), spec, begun)
