from hearth.controllers.core.config import KnativeConfig


def test_the_defaults_are_knatives():
    config = KnativeConfig()
    assert (config.initial_scale, config.min_scale, config.progress_deadline_s) == (1, 0, 600)
