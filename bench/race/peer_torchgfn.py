"""torchgfn, driven through its own interface: environments, estimators, sampler, TBGFlowNet, without debug checks."""
import os
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
from gfn.gym import HyperGrid  # noqa: E402
from gfn.preprocessors import KHotPreprocessor  # noqa: E402
from gfn.samplers import Sampler  # noqa: E402
from gfn.utils.common import set_seed  # noqa: E402
from gfn.utils.compile import try_compile_gflownet  # noqa: E402
from gfn.utils.modules import MLP  # noqa: E402

import exact  # noqa: E402


class Torchgfn(harness.Program):
    name = 'torchgfn'
    notes = ''

    def __init__(self, spec):
        self.spec = spec
        self.versions = {p: version(p) for p in ('torchgfn', 'torch', 'numpy')}
        torch.set_num_threads(spec['threads'])
        set_seed(spec['seed'])
        self.make_env()
        policy = spec['policy']
        size = {'hidden_dim': policy['width'], 'n_hidden_layers': policy['layers']}
        forward = MLP(self.preprocessor.output_dim, self.env.n_actions, **size)
        backward = MLP(self.preprocessor.output_dim, self.env.n_actions - 1, trunk=forward.trunk, **size)
        estimators = [DiscretePolicyEstimator(module, self.env.n_actions, preprocessor=self.preprocessor,
                                              is_backward=module is backward) for module in (forward, backward)]
        self.gflownet = TBGFlowNet(pf=estimators[0], pb=estimators[1], init_logZ=0.0, loss_fn=SquaredLoss())
        self.sampler = Sampler(estimator=estimators[0])
        self.parameters = sum(p.numel() for p in self.gflownet.parameters() if p.requires_grad)
        self.optimiser = torch.optim.Adam(self.gflownet.pf_pb_parameters(), lr=spec['lr'])
        self.optimiser.add_param_group({'params': self.gflownet.logz_parameters(), 'lr': spec['lr_log_z']})
        self.count = 0
        self.keep = True
        if os.environ.get('RACE_COMPILE'): try_compile_gflownet(self.gflownet)

    def make_env(self):
        env, reward = self.spec['env'], self.spec['reward']
        self.env = HyperGrid(env['dim'], env['side'], reward_fn_str='original',
                             reward_fn_kwargs={k.upper(): reward[k] for k in ('r0', 'r1', 'r2')},
                             validate_modes=False)
        self.preprocessor = KHotPreprocessor(height=env['side'], ndim=env['dim'])

    def step(self):
        e = self.spec.get('exploration')
        explore = {}
        if e:
            explore['epsilon'] = harness.linear(e, self.count)
        if os.environ.get('RACE_KEEP'):
            traj = self.sampler.sample_trajectories(self.env, n=self.spec['batch'], save_logprobs=True)
            again = False
        else:
            with torch.no_grad():
                traj = self.sampler.sample_trajectories(self.env, n=self.spec['batch'], **explore)
            again = True
        self.optimiser.zero_grad()
        loss = self.gflownet.loss_from_trajectories(self.env, traj, recalculate_all_logprobs=again)
        loss.backward()
        self.optimiser.step()
        self.count += 1

    def log_z(self):
        return float(self.gflownet.logZ)

    def states(self, rows):
        return self.env.states_from_tensor(torch.as_tensor(np.asarray(rows), dtype=torch.long))

    def log_r(self, rows):
        return self.env.log_reward(self.states(rows)).double().tolist()

    def jsd(self):
        dim, side = self.spec['env']['dim'], self.spec['env']['side']
        rows = exact.hypergrid_states(dim, side)
        with torch.no_grad():
            logits = np.concatenate([self.gflownet.pf(self.states(part)).numpy()
                                     for part in np.array_split(rows, max(1, len(rows) // 20000))])
        return exact.hypergrid_jsd(logits, self.log_r(rows), dim, side)


harness.serve(Torchgfn(spec), spec, begun)
