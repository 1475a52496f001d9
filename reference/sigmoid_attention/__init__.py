"""Sigmoid attention (arXiv:2409.04431): ``O = sigmoid(scale Q K^T + b) V``, its gradients, and how far each may be off.

Every weight is independent: nothing is normalised over keys, so outputs add over any partition of them, and a row that
sees no key is 0. What the paper leaves open, and the reading taken here, is said where it matters: the bias in
`log_length_bias`, alignment and padding in `masks`, ALiBi's sign in `masks.distance`.
"""

from reference.sigmoid_attention.attention import Gradients, backward, forward, log_length_bias, scores, sigmoid, weights
from reference.sigmoid_attention.bounds import backward_bounds, forward_bound
from reference.sigmoid_attention.classes import NUMERICAL_CLASSES, AttentionClass, class_of
from reference.sigmoid_attention.masks import distance, visible
from reference.sigmoid_attention.packed import packed_backward, packed_backward_bounds, packed_forward, packed_forward_bound
from reference.sigmoid_attention.second import second_derivatives
from reference.sigmoid_attention.softmax import softmax_row, softmax_row_bound
from reference.sigmoid_attention.stabilisers import layer_scale, layer_scale_gradients, qk_norm, qk_norm_gradients
from reference.sigmoid_attention.statistical_model import FALSE_ALARM, Product, is_modelled, products
from reference.sigmoid_attention.uniform import uniform_forward, uniform_forward_bound

__all__ = [
    "FALSE_ALARM",
    "NUMERICAL_CLASSES",
    "AttentionClass",
    "Gradients",
    "Product",
    "backward",
    "backward_bounds",
    "class_of",
    "distance",
    "forward",
    "forward_bound",
    "is_modelled",
    "layer_scale",
    "layer_scale_gradients",
    "log_length_bias",
    "packed_backward",
    "packed_backward_bounds",
    "packed_forward",
    "packed_forward_bound",
    "products",
    "qk_norm",
    "qk_norm_gradients",
    "scores",
    "second_derivatives",
    "sigmoid",
    "softmax_row",
    "softmax_row_bound",
    "uniform_forward",
    "uniform_forward_bound",
    "visible",
    "weights",
]
