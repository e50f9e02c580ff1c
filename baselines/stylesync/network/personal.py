"""P, the personalised model: dW = MLP(f_f) and an offset dP of the generator's parameters (StyleSync section 3.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.network.stylegan import EqualLinear
from lipsync_eval.baselines.stylesync.config import ModelConfig, PersonalConfig
from lipsync_eval.baselines.stylesync.network.generator import StyleSync

SEPARATOR = "/"
"""In place of the dot, which a parameter's name must not have."""


class StyleOffsets(nn.Module):
    """MLP_dW: f_f -> one offset of w for each of the L styles. Its last layers start at 0, and with them dW."""

    def __init__(self, model: ModelConfig, width: int, shared: bool) -> None:
        super().__init__()
        count = model.n_styles

        def trunk() -> nn.Sequential:
            """Two layers on f_f."""
            return nn.Sequential(
                EqualLinear(model.style_dim, width, activate=True), EqualLinear(width, width, activate=True)
            )

        self.trunks = nn.ModuleList(trunk() for _ in range(1 if shared else count))
        heads = [EqualLinear(width, model.w_dim) for _ in range(count)]
        for head in heads:
            nn.init.zeros_(head.weight)
        self.heads = nn.ModuleList(heads)

    def forward(self, code: Tensor) -> Tensor:
        """f_f (B, style_dim) -> dW (B, L, w_dim)."""
        features = [trunk(code) for trunk in self.trunks]
        return torch.stack([head(features[k % len(features)]) for k, head in enumerate(self.heads)], 1)


class Personal(nn.Module):
    """dW and dP, and how the frozen G is called with them. Its state holds the two alone.

    G is not among its modules: it is neither trained nor saved, and a copy of this shares it.
    """

    def __init__(self, base: StyleSync, config: PersonalConfig) -> None:
        super().__init__()
        self._base = Shared(base)
        self.dw = StyleOffsets(base.config, config.dw_width, config.dw_shared) if config.dw else None
        self.dp = nn.ParameterDict()
        if config.dp:
            for name, x in base.synthesis.named_parameters():
                self.dp[name.replace(".", SEPARATOR)] = nn.Parameter(torch.zeros_like(x))
        self.reduce = config.reduce
        self.last_dw: Tensor | None = None
        """(B, L, w_dim) of the last call, for eq. 6."""

    @property
    def base(self) -> StyleSync:
        """The frozen G."""
        return self._base.module

    def parameters_of_p(self) -> dict[str, Tensor]:
        """P + dP by name."""
        return {
            name: x + self.dp[name.replace(".", SEPARATOR)] if len(self.dp) else x
            for name, x in self.base.synthesis.named_parameters()
        }

    def shown(self, image: Tensor) -> Tensor:
        """As G's."""
        return self.base.shown(image)

    def hear(self, mel: Tensor) -> Tensor:
        """As G's: E_a is fixed."""
        return self.base.hear(mel)

    def forward(self, target: Tensor, reference: Tensor, mel: Tensor) -> Tensor:
        """As G's."""
        return self.generate(target, reference, self.hear(mel))

    def generate(self, target: Tensor, reference: Tensor, heard: Tensor) -> Tensor:
        """As G's, with W+ = {w + dw_1, ..., w + dw_L} and P + dP."""
        base = self.base
        with torch.no_grad():  # E_face and E_a are fixed
            maps, code = base.look(target, reference)
            w = base.style(heard.to(code.dtype), code)
        offsets = None if self.dw is None else self.dw(code)
        self.last_dw = offsets
        styles = [w if offsets is None else w + offsets[:, k] for k in range(base.config.n_styles)]
        rgb: Tensor = torch.func.functional_call(base.synthesis, self.parameters_of_p(), (maps, styles))
        return base.finish(rgb)

    def penalty(self) -> Tensor:
        """Eq. 6 without lambda_p: squared elements of dW (mean over the batch) and of dP, both summed or both averaged."""
        parts = []
        if self.last_dw is not None:
            squared = self.last_dw.float().square().flatten(1)
            parts.append((squared.sum(1) if self.reduce == "sum" else squared.mean(1)).mean())
        if len(self.dp):
            total = torch.stack([x.square().sum() for x in self.dp.values()]).sum()
            count = sum(x.numel() for x in self.dp.values())
            parts.append(total if self.reduce == "sum" else total / count)
        return torch.stack(parts).sum()

    @torch.no_grad()
    def norms(self) -> dict[str, float]:
        """Euclidean norms: of dW (of one frame: mean over the last call's), and of dP."""
        found = {}
        if self.last_dw is not None:
            found["norm_dw"] = float(self.last_dw.float().flatten(1).norm(dim=1).mean())
        if len(self.dp):
            found["norm_dp"] = float(torch.stack([x.square().sum() for x in self.dp.values()]).sum().sqrt())
        return found


class Shared:
    """A frozen module that copies share and that no module list sees."""

    def __init__(self, module: StyleSync) -> None:
        self.module = module.eval().requires_grad_(False)

    def __deepcopy__(self, memo: Any) -> Shared:
        return self
