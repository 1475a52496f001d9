"""Train a small Llama with random weights: Hugging Face's Trainer, AdEMAMix and sigmoid attention. Nothing is downloaded."""

import math
import tempfile

import torch

try:
    import accelerate  # noqa: F401  (the Trainer needs it, and says so only when it starts)
    from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments
    from transformers.utils import logging
except ImportError as error:
    raise SystemExit(f"{error}; get it with: python -m pip install transformers accelerate") from None

from gaugeblock.ademamix import AdEMAMix
from gaugeblock.sigmoid_attention import sigmoid_attention

LENGTH, STEPS = 32, 20


def attend(module, query, key, value, attention_mask, scaling=None, **_):
    """What transformers calls in each layer: (B, H, N, D) to (B, N, H, D). Key heads may be fewer than query heads."""
    if attention_mask is not None:
        raise NotImplementedError("this example has no padding; give key_lengths for it")
    output = sigmoid_attention(query, key, value, scale=scaling, bias=-math.log(LENGTH), causal=True)
    return output.transpose(1, 2), None


def main():
    AttentionInterface.register("gaugeblock_sigmoid", attend)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=LENGTH, attn_implementation="gaugeblock_sigmoid",
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    tokens = torch.arange(LENGTH).repeat(64, 1).add(torch.arange(64)[:, None]) % 64  # each row counts up from another number
    dataset = [{"input_ids": row, "labels": row} for row in tokens]
    optimizer = AdEMAMix(model.parameters(), lr=1e-2, weight_decay=0.1, t_alpha=STEPS, t_beta3=STEPS)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            max_steps=STEPS,
            per_device_train_batch_size=16,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            save_strategy="no",
        )
        before = model(input_ids=tokens, labels=tokens).loss.item()
        Trainer(model, arguments, train_dataset=dataset, optimizers=(optimizer, None)).train()
    after = model(input_ids=tokens, labels=tokens).loss.item()
    print(f"loss before {before:.1f}, after {after:.1f}; attention: {model.config._attn_implementation}")


if __name__ == "__main__":
    main()
