"""`python -m vidclf_train baselines`: what the trained classifiers are compared with."""

from __future__ import annotations

import click

from vidclf_train.baselines.timesformer_command import timesformer_command
from vidclf_train.baselines.zero_shot_command import zero_shot_command


@click.group()
def baselines() -> None:
    """The paper's baselines: labels' names nearest to videos, and a fine-tuned TimeSformer."""


baselines.add_command(zero_shot_command)
baselines.add_command(timesformer_command)
