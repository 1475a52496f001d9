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
    remark: str = ""
    """What a reader of a verdict has to know: what the repository says that it is."""

    @property
    def name(self) -> str:
        """What selects it on the command line: repository, path and object."""
        return f"{self.repository}/{self.path}:{self.target}"


PACKAGE = "imports its package, which a loose file has none of; install it and plug in the module"
OTHER_FRAMEWORK = "is an optimizer of a framework for which the suite has no protocol"

TABLE: tuple[CensusEntry, ...] = (
    CensusEntry("apple/ml-ademamix", "pytorch/ademamix.py", "AdEMAMix", remark="Published with the paper by its authors."),
    CensusEntry(
        "apple/ml-ademamix", "optax/ademamix.py", "ademamix", requires=("jax", "optax", "chex"),
        remark="Published with the paper by its authors.",
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
    CensusEntry("ovuruska/torch_ademamix", "ademamix/ademamix.py", "AdEMAMix", obstacle=PACKAGE),
    CensusEntry("kozistr/pytorch_optimizer", "pytorch_optimizer/optimizer/ademamix.py", "AdEMAMix", obstacle=PACKAGE),
    CensusEntry("bitsandbytes-foundation/bitsandbytes", "bitsandbytes/optim/ademamix.py", "AdEMAMix", obstacle=PACKAGE),
    CensusEntry("frgfm/Holocron", "holocron/optim/ademamix.py", "AdEMAMix", obstacle=PACKAGE),
    CensusEntry(
        "67372a/LoRA_Easy_Training_scripts_Backend", "custom_scheduler/LoraEasyCustomOptimizer/ademamix.py", "AdEMAMix",
        obstacle=PACKAGE,
    ),
    CensusEntry(
        "NX-AI/xlstm-jax", "xlstm_jax/trainer/optimizer/ademamix.py", "ademamix",
        obstacle=PACKAGE, names_source="apple/ml-ademamix",
    ),
    CensusEntry("IMvision12/AdEMAMix-Optimizer-Keras", "AdEMAMix.py", "AdEMAMix", obstacle=OTHER_FRAMEWORK),
    CensusEntry("mcc5635/AdEMAMix-optimizer", "test.py", "AdEMAMix", obstacle="is unfinished and no valid Python"),
    CensusEntry(
        "DepenM/Simplified-AdEMAMix", "simplified_AdEMAMix.py", "SimAdEMAMix",
        obstacle="is a simplification of its own paper, with one momentum",
    ),
)  # fmt: skip
