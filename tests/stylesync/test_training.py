"""Training of G and P: terms, resume, the delta file, what is refused."""

import json
import shutil

import pytest
import torch
from support.pickles import *  # noqa: F403
from support.radio import ALONE
from support.stylesync import micro

from lipsync_eval.baselines.kit.network.discriminator import Discriminator
