"""Public implementations: where each lies in its repository. The table of ``gaugeblock census``.

It holds addresses alone; nothing here fetches, copies or builds anything.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CensusEntry:
    """One public implementation: an object in a file of a repository, ``owner/name``."""

    repository: str
    path: str
    target: str
    """The name of the class or function."""
    system: str = "ademamix"
    requires: tuple[str, ...] = ()
    """Modules that the file imports and that the suite does not bring."""
    obstacle: str = ""
    """Why it cannot be judged anywhere, in a sentence; empty where it can."""
    names_source: str = ""
    """The repository that the file itself names as its source; empty where it names none."""
    adapter: str = ""
    """The name in `census_adapters` of what plugs it in; empty where the object of the file is a plug."""
    report: str = ""
    """The page of the published report that judges it as a released package; empty where there is none."""
    differs: str = ""
    """What it computes otherwise, in a clause, read in its code; for what resembles no mutant."""
    remark: str = ""
    """What a reader of a verdict has to know: what the repository says that it is."""

    @property
    def name(self) -> str:
        """What selects it on the command line: repository, path and object."""
        return f"{self.repository}/{self.path}:{self.target}"


RELEASED = "is a released package, which the published report judges"
GPU = "needs CUDA and a GPU"
OTHER_FRAMEWORK = "is an optimizer of a framework for which the suite has no protocol"

TABLE: tuple[CensusEntry, ...] = (
    CensusEntry("apple/ml-ademamix", "pytorch/ademamix.py", "AdEMAMix", remark="Published with the paper by its authors."),
    CensusEntry(
        "apple/ml-ademamix", "optax/ademamix.py", "ademamix", requires=("jax", "optax", "chex"), adapter="apple_optax",
        remark="Published with the paper by its authors; in place of its schedules, the paper's equations are given.",
    ),
    CensusEntry("swiss-ai/Megatron-LM", "megatron/core/optimizer/ademamix.py", "AdEMAMix", remark="Trained Apertus."),
    CensusEntry("epfml/llm-optimizer-benchmark", "src/optim/ademamix.py", "AdEMAMix", names_source="apple/ml-ademamix"),
    CensusEntry("epfml/llm-baselines", "src/optim/ademamix.py", "AdEMAMix", names_source="apple/ml-ademamix"),
    CensusEntry("Andron00e/learning-at-scale", "src/optim/ademamix.py", "AdEMAMix", names_source="apple/ml-ademamix"),
    CensusEntry("mlexpos/adana", "src/optim/ademamix.py", "AdEMAMix", names_source="apple/ml-ademamix"),
    CensusEntry(
        "mlexpos/adana", "src/optim/ademamix_decaying_wd.py", "AdEMAMix_DecayingWD",
        obstacle="decays weights by another rule on purpose, so that the paper is no measure of it",
    ),
    CensusEntry("nanowell/AdEMAMix-Optimizer-Pytorch", "AdEMAMix.py", "AdEMAMix"),
    CensusEntry("bluorion-com/AdEMAMix-Optimizer-Pytorch", "AdEMAMix.py", "AdEMAMix"),
    CensusEntry("edmondja/AdEMAMix-ADOPT-Optimizer-Pytorch", "AdEMAMix.py", "AdEMAMix"),
    CensusEntry(
        "edmondja/AdEMAMix-ADOPT-Optimizer-Pytorch", "AdEMAMix-ADOPT.py", "AdEMAMix",
        obstacle="is a mixture with ADOPT on purpose, so that the paper is no measure of it",
    ),
    CensusEntry(
        "nanowell/AdEMAMix-Optimizer-Pytorch", "AdEMAMix-Shampoo.py", "AdEMAMixDistributedShampoo",
        obstacle="is a mixture with Shampoo on purpose, so that the paper is no measure of it",
    ),
    CensusEntry("riteshshergill/ademamix", "ademamix.py", "AdEMAMix"),
    CensusEntry(
        "ttronrud/LanguageModelTrainingHarness", "ademamix.py", "AdEMAMix", names_source="nanowell/AdEMAMix-Optimizer-Pytorch"
    ),
    CensusEntry("k8hsy/ese3060-final_project-part2", "ademamix.py", "AdEMAMix"),
    CensusEntry("alirezaabdollahpour/project_text_classification_EPFL", "ademamix.py", "AdEMAMix"),
    CensusEntry("MaximeILL/TransformerProject", "optimizers/ademamix.py", "AdEMAMix"),
    CensusEntry("Curiosity-Machines/inatVisionTraining", "ademamix.py", "AdEMAMix", obstacle=OTHER_FRAMEWORK),
    CensusEntry("ovuruska/torch_ademamix", "ademamix/ademamix.py", "AdEMAMix", adapter="torch_ademamix"),
    CensusEntry(
        "google-deepmind/optax", "optax/contrib/_ademamix.py", "ademamix", obstacle=RELEASED, report="ademamix.optax"
    ),
    CensusEntry(
        "kozistr/pytorch_optimizer", "pytorch_optimizer/optimizer/ademamix.py", "AdEMAMix",
        obstacle=RELEASED, report="ademamix.pytorch-optimizer",
    ),
    CensusEntry(
        "bitsandbytes-foundation/bitsandbytes", "bitsandbytes/optim/ademamix.py", "AdEMAMix",
        obstacle=RELEASED, report="ademamix.bitsandbytes",
    ),
    CensusEntry("frgfm/Holocron", "holocron/optim/ademamix.py", "AdEMAMix", obstacle=RELEASED, report="ademamix.holocron"),
    CensusEntry(
        "67372a/LoRA_Easy_Training_scripts_Backend", "custom_scheduler/LoraEasyCustomOptimizer/ademamix.py", "AdEMAMix",
        requires=("pytorch_optimizer",), adapter="lora_easy", names_source="kozistr/pytorch_optimizer",
        remark="Judged in float32, and with weight_decouple=True, which is not its default; in 16 bits it rounds by chance. "
        "A second formula in float64 agrees with it in plain, warm-up and decay runs; the one failed case is not traced.",
    ),
    CensusEntry(
        "NX-AI/xlstm-jax", "xlstm_jax/trainer/optimizer/ademamix.py", "ademamix",
        requires=("jax", "optax", "chex"), adapter="xlstm_jax", names_source="apple/ml-ademamix",
        remark="In place of its schedules, the paper's equations are given.",
    ),
    CensusEntry("IMvision12/AdEMAMix-Optimizer-Keras", "AdEMAMix.py", "AdEMAMix", obstacle=OTHER_FRAMEWORK),
    CensusEntry("mcc5635/AdEMAMix-optimizer", "test.py", "AdEMAMix", obstacle="is unfinished and no valid Python"),
    CensusEntry(
        "DepenM/Simplified-AdEMAMix", "simplified_AdEMAMix.py", "SimAdEMAMix",
        obstacle="is a simplification of its own paper, with one momentum",
    ),
    CensusEntry(
        "apple/ml-sigmoid-attention", "flash_sigmoid/tests/test_flash_attn.py", "attention_ref", "sigmoid_attention",
        requires=("einops",), adapter="apple_reference", remark="Published with the paper by its authors; of its tests.",
    ),
    CensusEntry(
        "apple/ml-sigmoid-attention", "attention_simulator/src/attention_simulator/layers/attention.py", "Attention",
        "sigmoid_attention", adapter="apple_simulator", remark="Published with the paper by its authors.",
    ),
    CensusEntry(
        "apple/ml-sigmoid-attention", "flash_sigmoid/flash_attn_interface.py", "flash_attn_func", "sigmoid_attention",
        obstacle=GPU, remark="Published with the paper by its authors.",
    ),
    CensusEntry(
        "apple/axlearn", "axlearn/common/attention.py", "sigmoid_with_biases", "sigmoid_attention",
        requires=("jax",), adapter="axlearn", names_source="apple/ml-sigmoid-attention",
        remark="The function takes scores; the products around it are the census's.",
    ),
    CensusEntry(
        "kyegomez/zeta", "zeta/nn/modules/sigmoid_attn.py", "SigmoidAttention", "sigmoid_attention", adapter="zeta",
        differs="divides scores by the square root of the length, and a mask sets weights, not scores, to -1e9",
    ),
    CensusEntry(
        "Jaykef/ai-algorithms", "src/sigmoid_attention.py", "SigmoidAttention", "sigmoid_attention", adapter="ai_algorithms",
        remark="Has one head, and neither a bias nor a mask.",
    ),
    CensusEntry(
        "MSDLLCpapers/triton-sigmoid", "src/triton_sigmoid/sigmoid_reference.py", "sigmoid_attention_ref", "sigmoid_attention",
        remark="The reference of its own tests.",
    ),
    CensusEntry(
        "MSDLLCpapers/triton-sigmoid", "src/triton_sigmoid/__init__.py", "sigmoid_attention", "sigmoid_attention",
        obstacle=GPU, report="sigmoid_attention.triton-sigmoid",
    ),
    CensusEntry(
        "lucidrains/x-transformers", "x_transformers/attend.py", "Attend", "sigmoid_attention",
        obstacle=RELEASED, report="sigmoid_attention.x-transformers",
    ),
    CensusEntry(
        "microsoft/AttentionEngine", "attn_script/sigmoidattn.py", "sigmoid_attention", "sigmoid_attention", obstacle=GPU
    ),
    CensusEntry(
        "Ambuj-N/Sigmoid-Attention-Transformer", "model.py", "SigmoidAttention", "sigmoid_attention",
        obstacle="normalizes queries and keys and scales its output inside one function, so that neither can be given",
    ),
    CensusEntry(
        "HelenJeon0052/SigmoidAttention_jax", "main.py", "SigmoidAttention", "sigmoid_attention",
        obstacle="makes queries and keys inside one function of Flax, so that neither can be given",
    ),
    CensusEntry(
        "datacommonsorg/llm-tools", "data_gemma/rig.py", "_DC_PATTERN", "rig", adapter="datacommons_rig",
        remark="Published with the paper by its authors; judged by the profile `official`, written after it.",
    ),
    CensusEntry(
        "datacommonsorg/llm-tools", "data_gemma/rag.py", "RAGFlow", "rag", adapter="datacommons_rag",
        remark="Published with the paper by its authors; judged by the profile `official`, written after it.",
    ),
)  # fmt: skip
