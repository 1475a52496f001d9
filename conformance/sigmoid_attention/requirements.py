"""The rules of sigmoid attention, one sentence each, with where each stands and the bug that it exists to catch.

"kernel" is the published FlashSigmoid of apple/ml-sigmoid-attention (flash_attn_interface.py and its CUDA sources), to
which the paper's kernel sections refer; "law" is reference/sigmoid_attention, for what follows from the definition.
"""

from __future__ import annotations

from conformance.requirement import Requirement

REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        "SIG-01",
        "The output is the sum over keys of sigmoid(score) times value, with nothing normalised over keys.",
        "section 2, definition of SigmoidAttn",
        "softmax, or a division by the row sum or the length, in place of a plain sigmoid",
    ),
    Requirement(
        "SIG-02",
        "Where no scale is given, scores are q.k / sqrt(head dim of q and k).",
        "section 2, definition of SigmoidAttn",
        "no scale, 1/D, or the value dim's square root",
    ),
    Requirement(
        "SIG-03",
        "A given scale multiplies q.k as it stands, negative and zero included.",
        "kernel, softmax_scale",
        "scaling twice; starting the accumulator from bias/scale, which is NaN at scale 0",
    ),
    Requirement(
        "SIG-04",
        "The bias is one natural-log constant, added to every score after scaling.",
        "section 2 (b) and section 3 (b = -log n); kernel, sigmoid_bias",
        "a bias with the wrong sign, scaled with q.k, left in base e beside base-2 scores, or varying with the row",
    ),
    Requirement(
        "SIG-05",
        "Small weights keep their relative accuracy: with b = -log n at long n every weight is about 1/n.",
        "section 3 (b = -log n); numerical classes of the law",
        "sigmoid from an approximate tanh that was not declared; clamped scores; 1 - sigmoid(-x)",
    ),
    Requirement(
        "SIG-06",
        "Extreme scores give weights of 0 or 1 and never a NaN.",
        "section 2, definition of SigmoidAttn",
        "exp(x)/(1 + exp(x)), which is inf/inf for large x",
    ),
    Requirement(
        "SIG-07",
        "Scores are as exact as the declared numerical class says; by default they are never stored in the input dtype.",
        "numerical classes of the law",
        "scores rounded to bfloat16 or float16 without saying so",
    ),
    Requirement(
        "SIG-08",
        "The sum over many keys is carried in float32 or better.",
        "numerical classes of the law",
        "accumulating the output in the input dtype",
    ),
    Requirement(
        "SIG-09",
        "Every key counts exactly once, for lengths that no block size divides.",
        "section 2, definition of SigmoidAttn",
        "a tail that is dropped, read from the next head, or counted twice",
    ),
    Requirement(
        "SIG-10",
        "Head dims that are no power of two give the same law.",
        "kernel (head dims up to 256, padded)",
        "a head dim cut or padded with what lies behind it",
    ),
    Requirement(
        "SIG-11",
        "Values may have another dim than keys; the output has the values' dim.",
        "section 2 (d_qk and d_v)",
        "one dim, or one set of strides, taken for the other",
    ),
    Requirement(
        "SIG-12",
        "One query, or one key, is a length like any other.",
        "section 2, definition of SigmoidAttn",
        "special cases for length 1; squeezed axes",
    ),
    Requirement(
        "SIG-13",
        "Each batch row and head is computed from its own inputs alone.",
        "section 2, definition of SigmoidAttn",
        "a batch or head stride that is wrong beyond index 0",
    ),
    Requirement(
        "SIG-14",
        "A causal query sees its own position and those before it.",
        "section 2 (causal masking); kernel, causal",
        "an off-by-one at the diagonal; the mask transposed",
    ),
    Requirement(
        "SIG-15",
        "With unequal lengths the causal mask is aligned at the bottom right: query i sees keys j <= i + Nk - Nq.",
        "kernel, docstring of flash_attn_func",
        "a mask aligned at the top left",
    ),
    Requirement(
        "SIG-16",
        "A masked pair has weight exactly 0, whatever the bias and whatever stands in its key and value.",
        "kernel (mask to -inf before the activation)",
        "masking to 0 before the activation, which leaves sigmoid(0) or sigmoid(b); a finite penalty that is too small",
    ),
    Requirement(
        "SIG-17",
        "A window (left, right) includes both its ends, and -1 leaves a side open.",
        "kernel, window_size",
        "an off-by-one at an end; left and right swapped",
    ),
    Requirement(
        "SIG-18",
        "With unequal lengths, and under a causal mask, the window moves with the aligned position i + Nk - Nq.",
        "kernel, docstring of flash_attn_func (window_size)",
        "a window counted from the top left",
    ),
    Requirement(
        "SIG-19",
        "ALiBi subtracts slope times distance, |i - j|, the same to both sides.",
        "kernel, alibi_slopes (alibi.h)",
        "a signed distance, which raises the scores of future keys; the row constant that softmax may drop",
    ),
    Requirement(
        "SIG-20",
        "With unequal lengths ALiBi's distance is |i + Nk - Nq - j|.",
        "kernel, alibi_slopes (alibi.h)",
        "a distance from the unaligned position",
    ),
    Requirement(
        "SIG-21",
        "With fewer key heads, query head h reads key head h // (H / Hk).",
        "kernel, docstring of flash_attn_func (MQA and GQA)",
        "heads interleaved, h % Hk, instead of grouped",
    ),
    Requirement(
        "SIG-22",
        "Keys and values beyond a batch row's key length count for nothing.",
        "law (masks.visible)",
        "padding seen by some rows; another row's length",
    ),
    Requirement(
        "SIG-23",
        "A query that sees no key has output 0.",
        "kernel, docstring of flash_attn_func (rows of the mask that are all zero)",
        "NaN, or what memory held before, in rows without keys",
    ),
    Requirement(
        "SIG-24",
        "A NaN in a query or a key reaches only the rows that see it.",
        "law (a masked pair has weight 0)",
        "masks that add instead of select; padding rows that leak",
    ),
    Requirement(
        "SIG-25",
        "Views with gaps give what their contiguous copies give.",
        "kernel, flash_attn_func (any strides but the last)",
        "strides assumed contiguous; k's strides used for v",
    ),
    Requirement(
        "SIG-26",
        "Inputs, and the memory around them, are left as they were.",
        "law (pure function)",
        "scaling q in place; writing past a row's end",
    ),
    Requirement(
        "SIG-27",
        "The output and the gradients of q, k and v have the dtype of the inputs.",
        "kernel, flash_attn_func",
        "a result left in float32",
    ),
    Requirement(
        "SIG-28",
        "Each call answers its own inputs, whatever was asked before.",
        "law (pure function)",
        "buffers or masks cached by shape",
    ),
    Requirement(
        "SIG-29",
        "The same call twice gives the same bits forward.",
        "kernel, docstring of flash_attn_func (deterministic: the forward pass always is)",
        "a race, or memory read before it is written",
    ),
    Requirement(
        "SIG-30",
        "dV = P^T dO.",
        "section 4 and Algorithm 2 (backward)",
        "P not transposed, or recomputed without the bias",
    ),
    Requirement(
        "SIG-31",
        "dQ = scale dS K with dS = P (1 - P) (dO V^T): no row sum is subtracted.",
        "section 4 and Algorithm 2 (backward)",
        "softmax's backward; a missing 1 - P; a missing scale",
    ),
    Requirement(
        "SIG-32",
        "dK = scale dS^T Q.",
        "section 4 and Algorithm 2 (backward)",
        "a missing scale in dK alone; dS not transposed",
    ),
    Requirement(
        "SIG-33",
        "Gradients are those of the same weights: mask, window, slopes, lengths, bias and scale as in the output.",
        "section 4 and Algorithm 2 (backward)",
        "an option that reaches the forward pass only",
    ),
    Requirement(
        "SIG-34",
        "Query heads that share a key head add their gradients of k and v.",
        "kernel, docstring of flash_attn_func (MQA and GQA)",
        "one head's gradient returned for the group, or their mean",
    ),
    Requirement(
        "SIG-35",
        "Queries that see no key, and keys that no query sees, have gradient 0.",
        "kernel, docstring of flash_attn_func (rows of the mask that are all zero)",
        "NaN, or what memory held before, in gradients that nothing reaches",
    ),
    Requirement(
        "SIG-36",
        "The gradient of the bias is the sum of dS over everything.",
        "law (backward)",
        "a mean, or the sum of dP or P, in place of the sum of dS",
    ),
    Requirement(
        "SIG-37",
        "The gradient of an ALiBi slope is minus the sum of dS times distance over its head.",
        "law (backward)",
        "a missing sign; slopes of different heads added",
    ),
    Requirement(
        "SIG-38",
        "Near saturation dS keeps the 1 - P of the unrounded weight, unless the class says otherwise.",
        "numerical classes of the law; kernel, softmax.h (float32 P in the backward pass)",
        "1 - P taken from a weight stored in bfloat16, which is 0 there",
    ),
    Requirement(
        "SIG-39",
        "The gradient at the output may have any strides, zero included.",
        "torch: what output.sum().backward() hands to a backward pass",
        "dO read as if it were contiguous",
    ),
    Requirement(
        "SIG-40",
        "Gradients hold for lengths that no block size divides.",
        "section 4 and Algorithm 2 (backward)",
        "query tails that add sigmoid(b) to dV; key tails written to the next head",
    ),
    Requirement(
        "SIG-41",
        "The sums over many keys and queries in dQ, dK and dV are carried in float32 or better.",
        "numerical classes of the law",
        "accumulating a gradient in the input dtype, in memory, block by block",
    ),
    Requirement(
        "SIG-42",
        "A result, and what its backward pass needs, outlive the next call.",
        "law (pure function); torch: a network calls layer after layer before it goes back",
        "an output buffer that the next call writes again; weights kept outside the call that they belong to",
    ),
    Requirement(
        "SIG-43",
        "The output is the same whether gradients are recorded or not.",
        "law (pure function)",
        "a forward pass for training that ignores an option which the one for inference takes",
    ),
    Requirement(
        "SIG-44",
        "On random data rounding errors have no mean: they are as often above as below.",
        "law (twin, lean)",
        "truncating where rounding is meant, in weights, score gradients or results",
    ),
    Requirement(
        "SIG-45",
        "On random data rounding errors spread no further than one rounding of each stored weight and result makes them.",
        "law (twin, spread and largest)",
        "sums rounded to the input dtype every few keys; weights stored with fewer bits",
    ),
    Requirement(
        "SIG-46",
        "On random data rounding errors follow neither the value nor its derivative in the bias or the scale.",
        "law (twin, lean)",
        "a bias or a scale kept in the input dtype, which hides under every worst-case bound",
    ),
    Requirement(
        "SIG-47",
        "Packed sequences give what each gives by itself, aligned by its own two lengths.",
        "law (packed); the variable-length functions of the kernel's family (cu_seqlens)",
        "a key of the next sequence; masks and slopes aligned by the totals",
    ),
    Requirement(
        "SIG-48",
        "Packed sequences give the gradients that each gives by itself; those of bias and shared slopes are added up.",
        "law (packed)",
        "gradients aligned by the totals; sums of the last sequence alone",
    ),
    Requirement(
        "SIG-49",
        "Inputs may begin anywhere in memory, at no multiple of a vector's width.",
        "kernel, flash_attn_func (any strides but the last); torch: a slice of a tensor",
        "an address rounded down to 16 bytes",
    ),
    Requirement(
        "SIG-50",
        "The law holds at a length of 65,536, of keys and of queries.",
        "section 3 (b = -log n) at long n",
        "positions or counts kept in 16 bits, or in a format that is not exact that far",
    ),
    Requirement(
        "SIG-51",
        "Elements further from the first than 32 bits can count are found.",
        "kernel, flash_attn_func (any strides but the last)",
        "offsets computed in 32 bits",
    ),
)
