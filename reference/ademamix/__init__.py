"""AdEMAMix as its paper defines it (Pagliardini, Ablin and Grangier, arXiv:2409.03137): schedules, a step, a run, bounds."""

from reference.ademamix.algorithm import (
    Coefficients,
    OptimizerState,
    adamw_step,
    coefficients,
    step,
    switch,
    trajectory,
)
from reference.ademamix.bounds import Snapshot, bounded_trajectory
from reference.ademamix.classes import NUMERICAL_CLASSES, STRICT, OptimizerNumericalClass, numerical_class
from reference.ademamix.codebook import dynamic_code_book, quantisation_error
from reference.ademamix.hyperparameters import Hyperparameters
from reference.ademamix.schedules import alpha_schedule, beta3_schedule, beta_of_half_life, bias_correction, half_life

__all__ = [
    "NUMERICAL_CLASSES",
    "STRICT",
    "Coefficients",
    "Hyperparameters",
    "OptimizerNumericalClass",
    "OptimizerState",
    "Snapshot",
    "adamw_step",
    "alpha_schedule",
    "beta3_schedule",
    "beta_of_half_life",
    "bias_correction",
    "bounded_trajectory",
    "coefficients",
    "dynamic_code_book",
    "half_life",
    "numerical_class",
    "quantisation_error",
    "step",
    "switch",
    "trajectory",
]
