"""Public implementations: where each lies in its repository. The table of ``gaugeblock census``.

It holds addresses alone; nothing here fetches, copies or builds anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from reports.census_reproduction import BY_PATH

CALL = "[p], lr=lr, betas=(b1, b2, b3), alpha=alpha, eps=eps, weight_decay=decay"
"""The words that nearly every AdEMAMix of torch takes; a file with a warm-up has words of its own for it, with T steps."""
APPLE = CALL + ", beta3_warmup=T, alpha_warmup=T"
ROUNDED = "Declared as a class that rounds scores to the dtype of its tensors."
COMPOUNDS = "takes the warmed-up alpha and beta3 of one parameter as those that the next one's warm-up starts from"
ONE_WARMUP = CALL + ", T_alpha_beta3=T"
TWO_WARMUPS = CALL + ", T_alpha=T, T_beta3=T"


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
    package: str = ""
    """The package of an index that holds it; then the published report has its verdict, at the version named there."""
    differs: str = ""
    """What it computes otherwise, in a clause, read in its code; for what resembles no mutant."""
    remark: str = ""
    """What a reader of a verdict has to know: what the repository says that it is."""
    call: str = ""
    """The words that construct an optimizer of torch, for the reproduction; empty where there is none."""
    load: str = ""
    """The lines that load it, for the reproduction; empty where the file can be loaded by its path."""
    mend: str = ""
    """What would mend it, in a sentence; for what resembles no mutant."""
    answer: str = ""
    """What the maintainer may rightly answer, in a sentence."""
    reported: str = ""
    """Where it was reported; empty where it was not."""

    @property
    def name(self) -> str:
        """What selects it on the command line: repository, path and object."""
        return f"{self.repository}/{self.path}:{self.target}"


RELEASED = "is a released package, which the published report judges"
GPU = "needs CUDA and a GPU"
REGISTRY_STAND_IN = (
    "registry = types.SimpleNamespace(OPTIMIZERS=types.SimpleNamespace(register_module=lambda: lambda each: each))\n"
    'sys.modules["mmengine"], sys.modules["mmengine.registry"] = types.ModuleType("mmengine"), registry\n'
) + BY_PATH
WITHOUT_ITS_IMPORTS = """\
import ast
tree = ast.parse(open("{place}/{path}", encoding="utf-8").read())
tree.body = [node for node in tree.body if getattr(node, "name", "") == "AdEMAMix"]
theirs = types.SimpleNamespace(Optimizer=torch.optim.Optimizer, torch=torch, math=math)
exec(compile(tree, "{path}", "exec"), vars(theirs))"""
FROM_ITS_FOLDER = 'sys.path.insert(0, "{place}")\nfrom ademamix import ademamix as theirs'
OTHER_FRAMEWORK = "is an optimizer of a framework for which the suite has no protocol"

TABLE: tuple[CensusEntry, ...] = (
    CensusEntry(
        "apple/ml-ademamix", "pytorch/ademamix.py", "AdEMAMix", call=APPLE,
        remark="Published with the paper by its authors.",
    ),
    CensusEntry(
        "apple/ml-ademamix", "optax/ademamix.py", "ademamix", requires=("jax", "optax", "chex"), adapter="apple_optax",
        remark="Published with the paper by its authors; in place of its schedules, the paper's equations are given.",
    ),
    CensusEntry(
        "swiss-ai/Megatron-LM", "megatron/core/optimizer/ademamix.py", "AdEMAMix", call=APPLE,
        remark="Trained Apertus.",
    ),
    CensusEntry(
        "epfml/llm-optimizer-benchmark", "src/optim/ademamix.py", "AdEMAMix", call=APPLE,
        names_source="apple/ml-ademamix",
    ),
    CensusEntry("epfml/llm-baselines", "src/optim/ademamix.py", "AdEMAMix", call=APPLE, names_source="apple/ml-ademamix"),
    CensusEntry(
        "Andron00e/learning-at-scale", "src/optim/ademamix.py", "AdEMAMix", call=APPLE,
        names_source="apple/ml-ademamix",
    ),
    CensusEntry("mlexpos/adana", "src/optim/ademamix.py", "AdEMAMix", call=APPLE, names_source="apple/ml-ademamix"),
    CensusEntry(
        "mlexpos/adana", "src/optim/ademamix_decaying_wd.py", "AdEMAMix_DecayingWD",
        obstacle="decays weights by another rule on purpose, so that the paper is no measure of it",
    ),
    CensusEntry("nanowell/AdEMAMix-Optimizer-Pytorch", "AdEMAMix.py", "AdEMAMix", call=ONE_WARMUP),
    CensusEntry("bluorion-com/AdEMAMix-Optimizer-Pytorch", "AdEMAMix.py", "AdEMAMix", call=ONE_WARMUP),
    CensusEntry("edmondja/AdEMAMix-ADOPT-Optimizer-Pytorch", "AdEMAMix.py", "AdEMAMix", call=ONE_WARMUP),
    CensusEntry(
        "edmondja/AdEMAMix-ADOPT-Optimizer-Pytorch", "AdEMAMix-ADOPT.py", "AdEMAMix",
        obstacle="is a mixture with ADOPT on purpose, so that the paper is no measure of it",
    ),
    CensusEntry(
        "nanowell/AdEMAMix-Optimizer-Pytorch", "AdEMAMix-Shampoo.py", "AdEMAMixDistributedShampoo",
        obstacle="is a mixture with Shampoo on purpose, so that the paper is no measure of it",
    ),
    CensusEntry("riteshshergill/ademamix", "ademamix.py", "AdEMAMix", call=TWO_WARMUPS),
    CensusEntry(
        "ttronrud/LanguageModelTrainingHarness", "ademamix.py", "AdEMAMix",
        call=ONE_WARMUP,
        names_source="nanowell/AdEMAMix-Optimizer-Pytorch",
    ),
    CensusEntry("k8hsy/ese3060-final_project-part2", "ademamix.py", "AdEMAMix", call=CALL),
    CensusEntry("alirezaabdollahpour/project_text_classification_EPFL", "ademamix.py", "AdEMAMix", call=APPLE),
    CensusEntry("MaximeILL/TransformerProject", "optimizers/ademamix.py", "AdEMAMix", call=TWO_WARMUPS),
    CensusEntry("Curiosity-Machines/inatVisionTraining", "ademamix.py", "AdEMAMix", obstacle=OTHER_FRAMEWORK),
    CensusEntry(
        "ovuruska/torch_ademamix", "ademamix/ademamix.py", "AdEMAMix", call=TWO_WARMUPS, load=FROM_ITS_FOLDER,
        adapter="torch_ademamix",
    ),
    CensusEntry(
        "google-deepmind/optax", "optax/contrib/_ademamix.py", "ademamix",
        obstacle=RELEASED,
        report="ademamix.optax",
        package="optax",
    ),
    CensusEntry(
        "kozistr/pytorch_optimizer", "pytorch_optimizer/optimizer/ademamix.py", "AdEMAMix",
        obstacle=RELEASED, report="ademamix.pytorch-optimizer", package="pytorch_optimizer",
    ),
    CensusEntry(
        "bitsandbytes-foundation/bitsandbytes", "bitsandbytes/optim/ademamix.py", "AdEMAMix",
        obstacle=RELEASED, report="ademamix.bitsandbytes", package="bitsandbytes",
    ),
    CensusEntry(
        "frgfm/Holocron", "holocron/optim/ademamix.py", "AdEMAMix", obstacle=RELEASED,
        report="ademamix.holocron",
        package="pylocron",
    ),
    CensusEntry(
        "67372a/LoRA_Easy_Training_scripts_Backend", "custom_scheduler/LoraEasyCustomOptimizer/ademamix.py", "AdEMAMix",
        requires=("pytorch_optimizer",), adapter="lora_easy", names_source="kozistr/pytorch_optimizer",
        differs="adds eps to beta1 inside the logarithm of beta3's warm-up, which shows where eps is large",
        mend="Leave eps out of schedule_beta3, as current releases of pytorch_optimizer do.",
        answer="With the usual eps of 1e-8 hardly anything depends on it.",
        remark="Judged in float32, and with weight_decouple=True, which is not its default; in 16 bits it rounds by chance. "
        "A second formula in float64 agrees with it in plain, warm-up and decay runs; the difference was read in its code.",
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
        "haeggee/Megatron-LM", "megatron/core/optimizer/ademamix.py", "AdEMAMix", call=APPLE,
        remark="A fork of the repository that trained Apertus.",
    ),
    CensusEntry(
        "NVIDIA/Megatron-LM", "megatron/core/optimizer/ademamix.py", "AdEMAMix", call=APPLE,
        remark="At the commit of pull request 1466, which is not in the main branch; each group counts its steps.",
    ),
    CensusEntry("camlab-ethz/Phaedra", "phaedra/edemamix.py", "AdEMAMix", call=APPLE),
    CensusEntry(
        "igglyn/LLM", "src/blt_lite/ademamix.py", "AdEMAMix", call=APPLE,
        remark="At the commit that added it; later commits have another optimizer in its place.",
    ),
    CensusEntry("claverru/RSNA-lumbar", "src/optimizers/ademamix.py", "AdEMAMix", call=ONE_WARMUP),
    CensusEntry("gabrielolympie/moe-pruner", "utils/ademamix.py", "AdEMAMix", call=ONE_WARMUP),
    CensusEntry(
        "IDGallagher/animatediff-cli", "src/training/ademamix.py", "AdEMAMix", call=ONE_WARMUP,
        names_source="nanowell/AdEMAMix-Optimizer-Pytorch",
    ),
    CensusEntry(
        "r4hul77/RowDetr-v2", "models/optmizers.py", "AdEMAMix", adapter="row_detr", call=ONE_WARMUP,
        load=REGISTRY_STAND_IN,
    ),
    CensusEntry(
        "EpicDima/Optimizers", "optimizers/AdEMAMix.py", "AdEMAMix",
        obstacle="moves one point of two coordinates, so that no other parameter can be given; it says that it leaves out the "
        "warm-ups and takes a shorter memory, for an animation",
    ),
    CensusEntry(
        "ReaLLMASIC/nanoGPT", "train_variations/optimizer_variants.py", "AdEMAMix", adapter="nanogpt", call=ONE_WARMUP,
        load=WITHOUT_ITS_IMPORTS,
    ),
    CensusEntry(
        "Michael-Strojny/qudiffuse", "src/qudiffuse/utils/optimizers.py", "AdEMAMix", adapter="qudiffuse",
        call="[p], lr=lr, betas=(b1, b2), beta3=b3, alpha=alpha, eps=eps, weight_decay=decay",
        differs="divides (alpha m1 + m2) by alpha + 1, and corrects the bias of the slow EMA",
        mend="Add alpha times the slow EMA, without a correction of its bias, to the corrected fast one, and do not divide.",
        answer="The repository had this file for one commit, and its mixture may be meant as it is.",
        remark="At the commit that had it.",
    ),
    CensusEntry(
        "bitsandbytes-foundation/bitsandbytes", "bitsandbytes/optim/ademamix.py", "_ReferenceAdEMAMix",
        requires=("bitsandbytes",), call=CALL + ", t_alpha=T, t_beta3=T", differs=COMPOUNDS,
        mend="Give alpha and beta3 names of their own inside the loop over the parameters.",
        answer="It is the reference of the package's tests; the optimizer that users import does not have it.",
        remark="The reference of the package's own tests.",
    ),
    CensusEntry(
        "cyyever/bitsandbytes", "bitsandbytes/optim/ademamix.py", "_ReferenceAdEMAMix",
        requires=("bitsandbytes",), call=CALL + ", t_alpha=T, t_beta3=T", differs=COMPOUNDS,
        mend="Give alpha and beta3 names of their own inside the loop over the parameters.",
        answer="It is the reference of the package's tests; the optimizer that users import does not have it.",
        remark="A fork of bitsandbytes.",
    ),
    CensusEntry(
        "Enferlain/CityClassifiers", "optimizer/ademamix.py", "AdEMAMix", names_source="kozistr/pytorch_optimizer",
        obstacle="imports pytorch_optimizer.base.types, which current releases of that package do not have",
    ),
    CensusEntry(
        "mlexpos/adana", "jax/optimizers.py", "get_ademamix", requires=("jax", "optax", "chex"), adapter="adana_jax",
        names_source="apple/ml-ademamix",
        remark="In place of its schedules, the paper's equations are given.",
    ),
    CensusEntry(
        "HomebrewML/HeavyBall", "heavyball/__init__.py", "AdEMAMix", obstacle=RELEASED, report="ademamix.heavyball",
        package="heavyball",
    ),
    CensusEntry(
        "Koratahiu/Advanced_Optimizers", "adv_optm/optim/AdamW_adv.py", "AdamW_adv", obstacle=RELEASED,
        report="ademamix.adv-optm", package="adv_optm", remark="With use_AdEMAMix=True, which later releases leave out.",
    ),
    CensusEntry(
        "junaidaliop/zij", "zij/contrib/first_order/ademamix.py", "AdEMAMix", obstacle=RELEASED,
        report="ademamix.zij",
        package="zij",
    ),
    CensusEntry("NoteDance/optimizers", "optimizers/ademamix.py", "AdEMAMix", obstacle=OTHER_FRAMEWORK),
    CensusEntry(
        "smtmRadu/DeepUnity", "Assets/DeepUnity/Optimizers/AdEMAMix.cs", "AdEMAMix",
        obstacle="is C# for Unity, for which the machine has no runtime",
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
        obstacle=RELEASED, report="sigmoid_attention.x-transformers", package="x-transformers",
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
        "mlfoundations/open_lm", "open_lm/attention.py", "custom_attn", "sigmoid_attention",
        adapter="open_lm",
        remark="Judged with attn_activation=\"sigmoid\", attn_seq_scalar=\"none\" and alpha=0; it has no bias. "
        + ROUNDED,
    ),
    CensusEntry(
        "sedrick-keh-tri/open_lm_fork", "open_lm/attention.py", "custom_attn", "sigmoid_attention",
        adapter="open_lm_fork",
        remark="Judged as the repository that it is a fork of. " + ROUNDED,
    ),
    CensusEntry(
        "sail-sg/Attention-Sink", "lit_gpt/model_attn_sim.py", "eager_scaled_dot_product_attention", "sigmoid_attention",
        adapter="attention_sink",
        remark="Judged with sim=\"sigmoid\" and attention_normalize=False; it has no bias. " + ROUNDED,
    ),
    CensusEntry(
        "sail-sg/Attention-Sink", "lit_gpt/inference/model_attn_sim_infer.py", "eager_scaled_dot_product_attention",
        "sigmoid_attention", adapter="attention_sink_inference",
        remark="Judged with sim=\"sigmoid\" and attention_normalize=False; it has no bias. " + ROUNDED,
    ),
    CensusEntry(
        "ReaLLMASIC/nanoGPT", "variations/softmax_variations.py", "SigmoidMax", "sigmoid_attention",
        adapter="sigmoid_max",
        remark="The module takes scores; the products around it are the census's. Judged with sigmoidmax_divisor=1, where its "
        "default of 256 divides every weight. " + ROUNDED,
    ),
    CensusEntry(
        "Taiga10969/Sigmoid_Attenion_ViT", "models/sigmoid_attention.py", "Sigmoid_Attention", "sigmoid_attention",
        obstacle="takes a softmax over what its sigmoid gave, on purpose, so that the paper is no measure of it",
    ),
    CensusEntry(
        "flashinfer-ai/flashinfer", "tests/utils/test_jit_example.py", "FlashSigmoid", "sigmoid_attention", obstacle=GPU,
    ),
    CensusEntry(
        "blasphemetheus/edifice", "lib/edifice/attention/sigmoid_attention.ex", "SigmoidAttention", "sigmoid_attention",
        obstacle="is Elixir, for which the machine has no runtime",
    ),
    CensusEntry(
        "datacommonsorg/llm-tools", "data_gemma/rig.py", "_DC_PATTERN", "rig", adapter="datacommons_rig",
        remark="Published with the paper by its authors; judged by the profile `official`, written after it.",
    ),
    CensusEntry(
        "datacommonsorg/llm-tools", "data_gemma/rag.py", "RAGFlow", "rag", adapter="datacommons_rag",
        remark="Published with the paper by its authors; judged by the profile `official`, written after it.",
    ),
    CensusEntry(
        "Shirisha-Manthoju/forked_datacommons_llm-tools", "data_gemma/rig.py", "_DC_PATTERN", "rig",
        adapter="datacommons_rig_fork", names_source="datacommonsorg/llm-tools",
        remark="A fork of the authors' repository, with imports of its own; judged by the profile `official`.",
    ),
    CensusEntry(
        "Shirisha-Manthoju/forked_datacommons_llm-tools", "data_gemma/rag.py", "RAGFlow", "rag",
        adapter="datacommons_rag_fork", names_source="datacommonsorg/llm-tools",
        remark="A fork of the authors' repository, with imports of its own; judged by the profile `official`.",
    ),
    CensusEntry(
        "ag-chirag/hands-on-data-gemma", "model.py", "DataGemma", "rag", adapter="hands_on_data_gemma",
        remark="A demonstration; judged by the profile `official`, whose model it calls.",
        differs="asks each line as the model wrote it: with white space, again where it is repeated, without a limit",
        mend="Strip each line, and keep the first 25 that differ.",
        answer="Data Commons may forgive white space, and a question that is asked twice costs time and nothing else.",
    ),
)  # fmt: skip
