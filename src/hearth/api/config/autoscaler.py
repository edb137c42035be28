"""``config-autoscaler``.

Source: knative.dev/serving pkg/autoscaler/config/config.go, config/core/configmaps/autoscaler.yaml.
Two keys change nothing here: ``scale-to-zero-grace-period`` is the
time that Knative gives its activator to take a revision's requests over, and ``activator-capacity``
says how many activators that takes; here gateways hold requests by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hearth.api.config.parsing import Keys, duration, flag, parse_keys, whole

KPA = "kpa.autoscaling.knative.dev"  #: requests in flight or per second decide
HPA = "hpa.autoscaling.knative.dev"  #: CPU or memory decides

TARGET_MIN = 0.01  #: Knative's
_WINDOW_S = (6.0, 3600.0)


@dataclass(frozen=True, slots=True)
class AutoscalerConfig:
    """What ``config-autoscaler`` says; Knative's defaults, but for ``allow_zero_initial_scale``."""

    target_concurrency: float = 100.0  #: requests in flight per pod, when a pod takes any number
    target_utilisation: float = 0.7  #: share of the target to aim for, of requests in flight
    target_rps: float = 200.0  #: requests per second and pod
    other_utilisation: float = 0.7  #: share of the target to aim for, of other metrics; fixed
    target_burst_capacity: float = 211.0  #: requests beyond the load to have room for; -1 is any
    stable_window_s: float = 60.0
    panic_window_share: float = 0.1  #: of the stable window
    panic_threshold: float = 2.0  #: times what the pods can do
    max_scale_up_rate: float = 1000.0  #: times the ready pods, per decision
    max_scale_down_rate: float = 2.0  #: likewise, downwards
    enable_scale_to_zero: bool = True
    scale_down_delay_s: float = 0.0
    grace_period_s: float = 30.0  #: without effect, see above
    retention_s: float = 0.0  #: of the last pod
    #: Knative's is False: there whoever writes ``initial-scale: "0"`` is refused.
    allow_zero_initial_scale: bool = True
    initial_scale: int = 1
    min_scale: int = 0
    max_scale: int = 0  #: 0 is no limit
    max_scale_limit: int = 0  #: the highest ``max-scale`` of a revision; 0 is no limit
    autoscaler_class: str = KPA
    progress_deadline_s: float = 600.0  #: of config-deployment


def _percent(text: str) -> float:
    return float(text) / 100


def _share(text: str) -> float:
    """Percent, or a share as it was once written: values up to 1 are that."""
    value = float(text)
    return value / 100 if value > 1 else value


_KEYS: Keys = {
    "pod-autoscaler-class": ("autoscaler_class", str.strip),
    "enable-scale-to-zero": ("enable_scale_to_zero", flag),
    "allow-zero-initial-scale": ("allow_zero_initial_scale", flag),
    "max-scale-up-rate": ("max_scale_up_rate", float),
    "max-scale-down-rate": ("max_scale_down_rate", float),
    "container-concurrency-target-percentage": ("target_utilisation", _share),
    "container-concurrency-target-default": ("target_concurrency", float),
    "requests-per-second-target-default": ("target_rps", float),
    "target-burst-capacity": ("target_burst_capacity", float),
    "panic-window-percentage": ("panic_window_share", _percent),
    "panic-threshold-percentage": ("panic_threshold", _percent),
    "initial-scale": ("initial_scale", whole),
    "min-scale": ("min_scale", whole),
    "max-scale": ("max_scale", whole),
    "max-scale-limit": ("max_scale_limit", whole),
    "stable-window": ("stable_window_s", duration),
    "scale-down-delay": ("scale_down_delay_s", duration),
    "scale-to-zero-grace-period": ("grace_period_s", duration),
    "scale-to-zero-pod-retention-period": ("retention_s", duration),
}


def read_autoscaler(data: Mapping[str, str]) -> AutoscalerConfig:
    """The data of ``config-autoscaler``.

    Raises:
        ValueError: a key has a value that is not understood or not allowed, in Knative's words.
    """
    try:
        config = AutoscalerConfig(**parse_keys(data, _KEYS))
    except ValueError as error:
        raise ValueError(f"failed to parse data: {error}") from None
    for holds, said in (*_scales(config), *_rates(config), *_times(config, data)):
        if not holds:
            raise ValueError(said)
    return config


_Checks = list[tuple[bool, str]]


def _rates(config: AutoscalerConfig) -> _Checks:
    share, burst = config.target_utilisation, config.target_burst_capacity
    aim = share * config.target_concurrency
    return [
        (burst >= 0 or burst == -1,
         "target-burst-capacity must be either non-negative or -1 (for unlimited), "
         f"was: {burst:f}"),
        (0 < share <= 1,
         f"container-concurrency-target-percentage = {share:f} is outside of valid range of "
         "(0, 100]"),
        (aim >= TARGET_MIN,
         "container-concurrency-target-percentage and container-concurrency-target-default yield "
         f"target concurrency of {aim:g}, can't be less than {TARGET_MIN:g}"),
        (config.target_rps >= TARGET_MIN,
         f"requests-per-second-target-default must be at least {TARGET_MIN:g}, "
         f"was: {config.target_rps:g}"),
        (config.max_scale_up_rate > 1,
         f"max-scale-up-rate = {config.max_scale_up_rate:g}, must be greater than 1.0"),
        (config.max_scale_down_rate > 1,
         f"max-scale-down-rate = {config.max_scale_down_rate:g}, must be greater than 1.0"),
    ]  # fmt: skip


def _times(config: AutoscalerConfig, data: Mapping[str, str]) -> _Checks:
    delay_s, window_s = config.scale_down_delay_s, config.stable_window_s
    percent = config.panic_window_share * 100
    return [
        (config.grace_period_s > 0,
         f"scale-to-zero-grace-period must be positive, was: {config.grace_period_s:g}s"),
        (delay_s >= 0, f"scale-down-delay cannot be negative, was: {delay_s:g}s"),
        (delay_s == int(delay_s),
         f"scale-down-delay = {delay_s:g}s, must be specified with at most second precision"),
        (config.retention_s >= 0,
         "scale-to-zero-pod-retention-period cannot be negative, "
         f"was: {data.get('scale-to-zero-pod-retention-period')}"),
        (_WINDOW_S[0] <= window_s <= _WINDOW_S[1],
         f"stable-window = {data.get('stable-window')}, must be in [6s; 1h0m0s] range"),
        (window_s == int(window_s),
         f"stable-window = {window_s:g}s, must be specified with at most second precision"),
        (1 <= percent <= 100,
         f"panic-window-percentage = {percent:g}, must be in [1, 100] interval"),
    ]  # fmt: skip


def _scales(config: AutoscalerConfig) -> _Checks:
    initial, low, high = config.initial_scale, config.min_scale, config.max_scale
    limit = config.max_scale_limit
    least = 1 if limit > 0 else 0
    return [
        (initial > 0 or (initial == 0 and config.allow_zero_initial_scale),
         f"initial-scale = {initial}, must be at least 0 (or at least 1 when "
         "allow-zero-initial-scale is false)"),
        (low >= 0, f"min-scale = {low}, must be at least 0"),
        (high >= least and not 0 < limit < high,
         f"max-scale = {high}, must be in [{least}, max-scale-limit({limit})] range"),
        (limit >= 0, f"max-scale-limit = {limit}, must be at least 0"),
        (low <= high or high <= 0, f"min-scale ({low}) must be less than max-scale ({high})"),
    ]  # fmt: skip
