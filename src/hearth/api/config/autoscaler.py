"""``config-autoscaler``, and the progress deadline of ``config-deployment``.

Source: knative.dev/serving pkg/autoscaler/config/config.go, config/core/configmaps/autoscaler.yaml
and pkg/deployment/config.go. Two keys change nothing here: ``scale-to-zero-grace-period`` is the
time that Knative gives its activator to take a revision's requests over, and ``activator-capacity``
says how many activators that takes; here gateways hold requests by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hearth.api.serving.annotations import KPA, ScaleRules, parse_duration_s

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

    @property
    def rules(self) -> ScaleRules:
        """What a revision may ask for."""
        return ScaleRules(
            self.allow_zero_initial_scale, self.max_scale_limit, self.autoscaler_class
        )


def _flag(text: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f"found {text!r}, expected true or false")


def _duration(text: str) -> float:
    sign = -1.0 if text.startswith("-") else 1.0
    return sign * parse_duration_s(text.removeprefix("-"))


def _percent(text: str) -> float:
    return float(text) / 100


def _share(text: str) -> float:
    """Percent, or a share as it was once written: values up to 1 are that."""
    value = float(text)
    return value / 100 if value > 1 else value


_KEYS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "pod-autoscaler-class": ("autoscaler_class", str.strip),
    "enable-scale-to-zero": ("enable_scale_to_zero", _flag),
    "allow-zero-initial-scale": ("allow_zero_initial_scale", _flag),
    "max-scale-up-rate": ("max_scale_up_rate", float),
    "max-scale-down-rate": ("max_scale_down_rate", float),
    "container-concurrency-target-percentage": ("target_utilisation", _share),
    "container-concurrency-target-default": ("target_concurrency", float),
    "requests-per-second-target-default": ("target_rps", float),
    "target-burst-capacity": ("target_burst_capacity", float),
    "panic-window-percentage": ("panic_window_share", _percent),
    "panic-threshold-percentage": ("panic_threshold", _percent),
    "initial-scale": ("initial_scale", int),
    "min-scale": ("min_scale", int),
    "max-scale": ("max_scale", int),
    "max-scale-limit": ("max_scale_limit", int),
    "stable-window": ("stable_window_s", _duration),
    "scale-down-delay": ("scale_down_delay_s", _duration),
    "scale-to-zero-grace-period": ("grace_period_s", _duration),
    "scale-to-zero-pod-retention-period": ("retention_s", _duration),
}


def read_autoscaler(data: Mapping[str, str]) -> AutoscalerConfig:
    """The data of ``config-autoscaler``.

    Raises:
        ValueError: a key has a value that is not understood or not allowed, in Knative's words.
    """
    found = {}
    for key, (field, parse) in _KEYS.items():
        if key in data:
            try:
                found[field] = parse(data[key])
            except ValueError as error:
                raise ValueError(
                    f'failed to parse data: failed to parse "{key}": {error}'
                ) from None
    config = AutoscalerConfig(**found)
    for holds, said in (*_scales(config), *_rates(config), *_times(config, data)):
        if not holds:
            raise ValueError(said)
    return config


def read_deployment(data: Mapping[str, str], config: AutoscalerConfig) -> AutoscalerConfig:
    """What ``config-deployment`` adds.

    Raises:
        ValueError: ``progress-deadline`` is not a positive number of whole seconds.
    """
    text = data.get("progress-deadline")
    if text is None:
        return replace(config, progress_deadline_s=AutoscalerConfig().progress_deadline_s)
    try:
        deadline_s = _duration(text)
    except ValueError as error:
        raise ValueError(f'failed to parse "progress-deadline": {error}') from None
    if deadline_s <= 0:
        raise ValueError(f"progress-deadline cannot be a non-positive duration, was {text}")
    if deadline_s != int(deadline_s):
        raise ValueError(f"progress-deadline must be rounded to a whole second, was: {text}")
    return replace(config, progress_deadline_s=deadline_s)


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
