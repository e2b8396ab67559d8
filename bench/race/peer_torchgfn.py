"""torchgfn, driven through its own interface: environments, estimators, sampler, TBGFlowNet, without debug checks.
torch.compile of its networks was tried and was slower: batches shrink as trajectories end, and each size is compiled.
"""
import copy
import time

import harness

begun = time.perf_counter()
spec = harness.specification()

from importlib.metadata import version  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from gfn.estimators import DiscretePolicyEstimator  # noqa: E402
from gfn.gflownet import TBGFlowNet  # noqa: E402
from gfn.gflownet.losses import SquaredLoss  # noqa: E402
from gfn.gym import DiscreteEBM, HyperGrid, NonAutoregressiveBitSequence  # noqa: E402
from gfn.gym.discrete_ebm import IsingModel  # noqa: E402
from gfn.preprocessors import KHotPreprocessor, Preprocessor  # noqa: E402
from gfn.samplers import Sampler  # noqa: E402
from gfn.utils.common import set_seed  # noqa: E402
from gfn.utils.modules import MLP  # noqa: E402

import exact  # noqa: E402


class OneHot(Preprocessor):
    """One feature for each value (-1, 0, ...) of each position."""

    def __init__(self, positions, symbols):
        super().__init__(output_dim=positions * symbols)
        self.symbols = symbols

    def preprocess(self, states):
        hot = torch.nn.functional.one_hot(states.tensor.long() + 1, self.symbols)
        return hot.flatten(-2).to(torch.get_default_dtype())


class Hypergrid:
    def make(self, spec):
        env, reward = spec['env'], spec['reward']
        self.dim, self.side = env['dim'], env['side']
        made = HyperGrid(self.dim, self.side, reward_fn_str='original',
                         reward_fn_kwargs={key.upper(): reward[key] for key in ('r0', 'r1', 'r2')})
        return made, KHotPreprocessor(height=self.side, ndim=self.dim)

    def all_rows(self):
        return exact.hypergrid_states(self.dim, self.side)

    def jsd(self, logits, log_r):
        return exact.hypergrid_jsd(logits, log_r, self.dim, self.side)


class Ising:
    def make(self, spec):
        side = spec['env']['side']
        at = torch.arange(side * side).reshape(side, side)
        j = torch.zeros(side * side, side * side)
        for axis in (0, 1):
            there = torch.roll(at, -1, dims=axis)
            j[at.flatten(), there.flatten()] = spec['reward']['j']
            j[there.flatten(), at.flatten()] = spec['reward']['j']
        model = IsingModel(j)
        model.requires_grad_(False)
        return DiscreteEBM(side * side, energy=model, alpha=1.0), OneHot(side * side, 3)


class Bits:
    def make(self, spec):
        env, modes = spec['env'], torch.tensor(harness.modes(spec))
        made = NonAutoregressiveBitSequence(word_size=env['word'], seq_size=env['length'], n_modes=len(modes),
                                            reward_exponent=spec['reward']['exponent'], H=modes)
        return made, OneHot(env['length'] // env['word'], 2**env['word'] + 1)


KINDS = {'hypergrid': Hypergrid, 'ising': Ising, 'bit_sequence': Bits}


class Torchgfn(harness.Program):
    name = 'torchgfn'

    def __init__(self, spec):
        self.spec = spec
        self.versions = {p: version(p) for p in ('torchgfn', 'torch', 'numpy')}
        torch.set_num_threads(spec['threads'])
        set_seed(spec['seed'])
        self.kind = KINDS[spec['env']['name']]()
        self.env, preprocessor = self.kind.make(spec)
        policy = spec['policy']
        size = {'hidden_dim': policy['width'], 'n_hidden_layers': policy['layers']}
        n = self.env.n_actions
        forward = MLP(preprocessor.output_dim, n, **size)
        backward = MLP(preprocessor.output_dim, n - 1, trunk=forward.trunk, **size)
        self.pf = DiscretePolicyEstimator(forward, n, preprocessor=preprocessor)
        pb = DiscretePolicyEstimator(backward, n, preprocessor=preprocessor, is_backward=True)
        self.gflownet = TBGFlowNet(pf=self.pf, pb=pb, init_logZ=0.0, loss_fn=SquaredLoss())
        self.sampler = Sampler(estimator=self.pf)
        self.parameters = sum(p.numel() for p in self.gflownet.parameters() if p.requires_grad)
        self.optimiser = torch.optim.Adam(self.gflownet.pf_pb_parameters(), lr=spec['lr'])
        self.optimiser.add_param_group({'params': self.gflownet.logz_parameters(), 'lr': spec['lr_log_z']})
        self.count = 0
        # Exploration: the sampler's probabilities are not the policy's, so there is one way only.
        ways = ['states evaluated again'] if 'exploration' in spec else ['states evaluated again',
                                                                         'gradient through the rollout']
        begin = copy.deepcopy([self.gflownet.state_dict(), self.optimiser.state_dict()])

        def reset():
            self.gflownet.load_state_dict(begin[0])
            self.optimiser.load_state_dict(begin[1])
            self.count = 0
            set_seed(spec['seed'])

        self.choose(ways, self.use, reset)

    def use(self, way):
        self.again = way == 'states evaluated again'

    def sample(self):
        if not self.again:
            return self.sampler.sample_trajectories(self.env, n=self.spec['batch'], save_logprobs=True)
        explore = {}
        if 'exploration' in self.spec:
            explore['epsilon'] = harness.linear(self.spec['exploration'], self.count)
        with torch.no_grad():
            return self.sampler.sample_trajectories(self.env, n=self.spec['batch'], **explore)

    def step(self):
        trajectories = self.sample()
        self.optimiser.zero_grad()
        loss = self.gflownet.loss_from_trajectories(self.env, trajectories, recalculate_all_logprobs=self.again)
        loss.backward()
        self.optimiser.step()
        self.count += 1

    def log_z(self):
        return float(self.gflownet.logZ)

    def states(self, rows):
        return self.env.states_from_tensor(torch.as_tensor(np.asarray(rows), dtype=torch.long))

    def log_r(self, rows):
        return self.env.log_reward(self.states(rows)).double().tolist()

    def jsd(self, uniform=False):
        rows = self.kind.all_rows()
        with torch.no_grad():
            logits = np.concatenate([self.pf(self.states(part)).numpy()
                                     for part in np.array_split(rows, max(1, len(rows) // 20000))])
        return self.kind.jsd(0.0 * logits if uniform else logits, self.log_r(rows))


harness.serve(Torchgfn(spec), spec, begun)
