"""gfnx, driven through its own interface: environments, rewards, rollouts. The policy network, the loss and the update
are the user's to write there; they are here, with equinox and optax as gfnx's documentation has it. One jitted call makes
`block` whole iterations (rollout, loss, gradient, update) by lax.scan.
"""
import os
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

import exact  # noqa: E402


class TiedMLP(eqx.Module):
    """P_F's and P_B's logits from one trunk."""

    network: eqx.nn.MLP
    n_forward: int = eqx.field(static=True)

    def __init__(self, n_in, n_forward, n_backward, width, depth, key):
        self.n_forward = n_forward
        self.network = eqx.nn.MLP(n_in, n_forward + n_backward, width, depth, key=key)

    def __call__(self, obs):
        x = self.network(obs)
        return x[:self.n_forward], x[self.n_forward:]


class Gfnx(harness.Program):
    name = 'gfnx'
    notes = ''

    def __init__(self, spec):
        self.spec = spec
        self.versions = {p: version(p) for p in ('gfnx', 'jax', 'jaxlib', 'equinox', 'optax', 'numpy')}
        key = jax.random.PRNGKey(spec['seed'])
        key, model_key, env_key = jax.random.split(key, 3)
        self.make_env(env_key)
        model = self.make_model(model_key)
        self.params, self.static = eqx.partition(model, eqx.is_array)
        params = {'model': self.params, 'log_z': jnp.array(0.0)}
        self.parameters = sum(x.size for x in jax.tree.leaves(params))
        labels = {'model': jax.tree.map(lambda _: 'net', self.params), 'log_z': 'log_z'}
        self.optimiser = optax.multi_transform(
            {'net': optax.adam(spec['lr']), 'log_z': optax.adam(spec['lr_log_z'])}, labels)
        self.state = (params, self.optimiser.init(params), key, jnp.array(0))
        self.block = int(os.environ.get('RACE_BLOCK', spec.get('gfnx', {}).get('block', 1)))
        before = time.perf_counter()
        self.compiled = jax.jit(self.iterations, donate_argnums=0).lower(self.state).compile()
        self.compile_seconds = time.perf_counter() - before

    def make_env(self, key):
        env, reward = self.spec['env'], self.spec['reward']
        module = gfnx.GeneralHypergridRewardModule(R0=reward['r0'], R1=reward['r1'], R2=reward['r2'])
        self.env = gfnx.HypergridEnvironment(module, dim=env['dim'], side=env['side'])
        self.env_params = self.env.init(key)

    def make_model(self, key):
        policy = self.spec['policy']
        return TiedMLP(self.env.observation_space.shape[0], self.env.action_space.n,
                       self.env.backward_action_space.n, policy['width'], policy['layers'], key)

    def epsilon(self, iteration):
        e = self.spec.get('exploration')
        return max_linear(e, iteration) if e else None

    def rollout(self, params, key, iteration):
        eps = self.epsilon(iteration)

        def policy(key, obs, params):
            forward, backward = jax.vmap(eqx.combine(params, self.static))(obs)
            logits = forward
            if eps is not None:
                logits = gfnx.utils.apply_epsilon_greedy_vmap(key, forward, eps)
            return logits, {'forward_logits': forward, 'backward_logits': backward}

        return gfnx.utils.forward_rollout(key, self.spec['batch'], policy, params, self.env, self.env_params)

    def tb(self, params, traj):
        """Logits of all states at once, then gfnx's own sums along the trajectories."""
        forward, backward = jax.vmap(jax.vmap(eqx.combine(params['model'], self.static)))(traj.obs)
        traj = traj.replace(info={'forward_logits': forward, 'backward_logits': backward})
        log_pf, log_pb = gfnx.utils.forward_trajectory_log_probs(self.env, traj, self.env_params)
        log_r = jnp.where(traj.pad, 0.0, traj.log_gfn_reward).sum(axis=1)
        return jnp.mean((params['log_z'] + log_pf - log_pb - log_r)**2)

    def iteration(self, state, _):
        params, opt_state, key, iteration = state
        key, sample_key = jax.random.split(key)
        if os.environ.get('RACE_THROUGH'):
            def loss_fn(params):
                traj, _ = self.rollout(params['model'], sample_key, iteration)
                log_pf, log_pb = gfnx.utils.forward_trajectory_log_probs(self.env, traj, self.env_params)
                log_r = jnp.where(traj.pad, 0.0, traj.log_gfn_reward).sum(axis=1)
                return jnp.mean((params['log_z'] + log_pf - log_pb - log_r)**2)
            loss, grad = jax.value_and_grad(loss_fn)(params)
        else:
            traj, _ = self.rollout(params['model'], sample_key, iteration)
            loss, grad = jax.value_and_grad(self.tb)(params, traj)
        update, opt_state = self.optimiser.update(grad, opt_state, params)
        return (optax.apply_updates(params, update), opt_state, key, iteration + 1), loss

    def iterations(self, state):
        state, losses = jax.lax.scan(self.iteration, state, None, length=self.block)
        return state, losses[-1]

    def step(self):
        self.state, loss = self.compiled(self.state)
        jax.block_until_ready(loss)

    def log_z(self):
        return float(self.state[0]['log_z'])

    def states(self, rows):
        rows = jnp.asarray(rows, dtype=jnp.int32)
        no = jnp.zeros(len(rows), dtype=bool)
        return self.env.get_init_state(len(rows)).replace(state=rows, is_initial=no)

    def log_r(self, rows):
        return np.asarray(self.env.reward_module.log_reward(self.states(rows), self.env_params)).tolist()

    def jsd(self):
        dim, side = self.spec['env']['dim'], self.spec['env']['side']
        rows = exact.hypergrid_states(dim, side)
        model = eqx.combine(self.state[0]['model'], self.static)
        evaluate = eqx.filter_jit(lambda m, s: jax.vmap(m)(self.env.get_obs(s, self.env_params))[0])
        logits = np.concatenate([np.asarray(evaluate(model, self.states(part)))
                                 for part in np.array_split(rows, max(1, len(rows) // 20000))])
        return exact.hypergrid_jsd(logits, self.log_r(rows), dim, side)


def max_linear(e, iteration):
    return e['epsilon'] + (e['epsilon_end'] - e['epsilon']) * jnp.minimum(iteration / e['iterations'], 1.0)


harness.serve(Gfnx(spec), spec, begun)
