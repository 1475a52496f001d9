"""Further cases of AdEMAMix: each kind of branch at its edges, and what is promised there.

`FURTHER` has those of requirements that `conformance.ademamix.cases` serves, registered behind all others.
"""

from __future__ import annotations

from dataclasses import replace

from conformance.ademamix.cases import (
    BETA2_ZERO,
    CORRECTED,
    DECAYING,
    EXACT,
    SCHEDULED,
    WIDE,
    GroupCase,
    RunCase,
    TensorCase,
    several,
    single,
)
from conformance.ademamix.harness.layouts import OWN, fewest_axes
from conformance.ademamix.harness.problem import BY_GROUP
from conformance.ademamix.interactions import SHAPES

# --- Groups that differ in every way ---------------------------------------------------------------------------------------

THREE_GROUPS = (
    GroupCase(SCHEDULED, (TensorCase(), TensorCase(())), (0.5, 0.25, 0.125, 0.5, 0.25, 0.125)),
    GroupCase(replace(EXACT, t_alpha=9, t_beta3=9), (TensorCase((2, 3)), TensorCase((0,)), TensorCase((4,)))),
    GroupCase(replace(EXACT, beta1=0.5, alpha=2.0), (TensorCase((5,)),)),
)
OWN_WARM_UPS = tuple(
    GroupCase(replace(BETA2_ZERO, t_alpha=t, t_beta3=t, alpha=alpha), (TensorCase(), TensorCase((2,))))
    for t, alpha in ((4, 2.0), (9, 4.0), (None, 8.0))
)
_OF_LENGTHS = tuple(
    GroupCase(
        replace(EXACT, alpha=1.0 + index, beta1=0.5 + index / 16, weight_decay=index / 8, eps=2.0 ** -(3 + index)),
        (TensorCase((3,)), TensorCase(()), *((TensorCase((0,)), TensorCase((2,))) * (count // 2)))[:count],
        2.0 ** -(3 + index),
    )
    for index, count in enumerate((1, 41, 2, 7))
)
_TWENTY = tuple(
    GroupCase(replace(EXACT, beta2=1 - 2.0 ** -(1 + index), t_alpha=index, t_beta3=index), (TensorCase((2,)),))
    for index in range(20)
)

EVERYTHING_SHOWS = replace(SCHEDULED, eps=2.0**-3)
"""Schedules, decay and eps show in the first step already."""

# --- Steps without a gradient in one of several groups ---------------------------------------------------------------------

_UNCORRECTED = replace(BETA2_ZERO, beta1=2.0**-6)
_GROUP_WITH_GAPS = (
    GroupCase(replace(_UNCORRECTED, t_alpha=16, t_beta3=16), (TensorCase(gradients="constant"),)),
    GroupCase(
        replace(_UNCORRECTED, t_alpha=20, t_beta3=20),
        tuple(TensorCase(shape, "constant", missing=(5, 6, 9)) for shape in ((4,), (2,))),
    ),
)
_LATE_GROUP = tuple(
    GroupCase(CORRECTED, (TensorCase((4,), "constant", missing=missing),)) for missing in ((), (0, 2, 3), (1,))
)

# --- What the parameter shows of 283 steps is the last alone ---------------------------------------------------------------

_LAST = (0.0,) * 282 + (1.0,)

FURTHER: dict[str, tuple[RunCase, ...]] = {
    "ADM-05": (
        single("alpha-one", replace(BETA2_ZERO, alpha=1.0, beta3=0.5), "signs", 3),
        single("alpha-one-and-a-half", replace(BETA2_ZERO, alpha=1.5, beta3=0.5), "signs", 3, quick=False),
    ),
    # a count in bfloat16 stops at 256, one in a byte starts again
    "ADM-07": tuple(
        single(
            f"after-283-steps-{dtype}", replace(EXACT, beta1=1 - 2.0**-9, beta2=1 - 2.0**-10, alpha=0.0), "constant", 283,
            shape=(3,), start=0.0, rates=_LAST, dtypes=(dtype,), quick=False, interpreted="thorough",
        )
        for dtype in ("float32", "bfloat16")
    ),
    "ADM-21": (
        *(
            single(
                f"four-hundred-{dtype}", replace(EXACT, t_alpha=400, t_beta3=400, alpha=64.0), "constant", 283, shape=(3,),
                start=0.0, rates=_LAST, dtypes=(dtype,), quick=False, interpreted="thorough",
            )
            for dtype in ("float32", "bfloat16")
        ),
        single("as-long-as-the-run", replace(BETA2_ZERO, t_alpha=4, t_beta3=4), "constant", 4, quick=False),
    ),
    # more than fit into a launch that takes a table of pointers, of 4 KiB at most
    "ADM-29": (several("a-thousand", EXACT, 1, *((TensorCase((2,)),) * 1030), quick=False, interpreted="thorough"),),
    "ADM-30": (
        RunCase("of-very-different-lengths", _OF_LENGTHS, 2, quick=False, interpreted="thorough"),
        RunCase("twenty", _TWENTY, 3, quick=False, interpreted="thorough"),
    ),
    "ADM-31": (
        several(
            "small-block-boundaries", EXACT, 1,
            *tuple(TensorCase((2**k + off,), gradients="signs") for k in range(3, 13) for off in (-1, 0, 1)), quick=False,
            interpreted="thorough",
        ),
        # sizes meet every setting, too: what ends at a block may be one of them
        several(
            "small-block-boundaries-with-settings", EVERYTHING_SHOWS, 1,
            *tuple(TensorCase((2**k + off,), gradients="signs") for k in range(3, 13) for off in (-1, 0, 1)), quick=False,
            interpreted="thorough",
        ),
        several(
            "beyond-a-million", EXACT, 1, TensorCase((5,)), TensorCase((2**20 + 3,), gradients="signs"), TensorCase((3,)),
            quick=False, interpreted="thorough",
        ),
        several(
            "beyond-a-million-with-settings", EVERYTHING_SHOWS, 1, TensorCase((2**20 + 3,), gradients="signs"), quick=False,
            interpreted="never",
        ),
    ),
    "ADM-33": tuple(
        RunCase(how, THREE_GROUPS, 6, resume_after=3, saved_as=how, quick=False) for how in ("used", "twice")
    ),
    "ADM-34": (
        RunCase(
            "several-join",
            (
                GroupCase(replace(BETA2_ZERO, t_alpha=6, t_beta3=6), (TensorCase(), TensorCase((2,), joins_at=1))),
                GroupCase(
                    replace(BETA2_ZERO, t_alpha=4, t_beta3=4), (TensorCase((4,), joins_at=2), TensorCase((3,), joins_at=4))
                ),
            ),
            7, resume_after=5, quick=False,
        ),
    ),
    "ADM-44": (RunCase("a-group-beside-others", _LATE_GROUP, 6, quick=False),),
    "ADM-45": (RunCase("a-group-beside-others", _GROUP_WITH_GAPS, 13, quick=False),),
    "ADM-54": (RunCase("several-groups-without-gradients", THREE_GROUPS, 6, use="closure", within="no_grad"),),
    "ADM-63": tuple(
        RunCase(
            f"{name}-of-three-groups",
            tuple(
                GroupCase(replace(DECAYING, alpha=2.0 + index), (TensorCase(), TensorCase((2,))), maximize=index == which)
                for index in range(3)
            ),
            3,
            options=(("maximize", BY_GROUP),),
        )
        for name, which in (("first", 0), ("last", 2))
    ),
    "ADM-66": (
        single("beta3", EXACT, "normal", 6, changes=((3, replace(EXACT, beta3=0.9375)),)),
        single(
            "longer-warm-ups", replace(BETA2_ZERO, t_alpha=6, t_beta3=6), "normal", 7,
            changes=((2, replace(BETA2_ZERO, t_alpha=9, t_beta3=12)),),
        ),
        *(
            RunCase(f"rate-{how}", THREE_GROUPS, 6, rate_tensors=how, literal=True, quick=False)
            for how in ("written", "replaced")
        ),
    ),
    "ADM-67": (RunCase("own-warm-ups", OWN_WARM_UPS, 6, resume_after=3, rebuilt_otherwise=True),),
}  # fmt: skip
"""Cases by requirement."""

# --- Cases of requirements of their own ------------------------------------------------------------------------------------

# Not past its end: there the paper's equation, taken by its letters, falls below beta3.
BETA3_BELOW = (
    single("warm-up", replace(BETA2_ZERO, beta3=0.75, t_alpha=6, t_beta3=6), "constant", 6, dtypes=WIDE),
    single("far-below", replace(BETA2_ZERO, beta3=0.25, t_beta3=4), "signs", 4),
)
FRACTIONAL = (
    single("four-and-a-half", replace(BETA2_ZERO, t_alpha=4.5, t_beta3=4.5), "constant", 6, dtypes=WIDE),
    single("of-two-lengths", replace(BETA2_ZERO, t_alpha=2.75, t_beta3=5.25), "signs", 7),
    single("below-one", replace(BETA2_ZERO, t_alpha=0.5, t_beta3=0.5), "signs", 3, quick=False),
)
# what is removed has no gradient any more, as far as the algorithm is concerned
_TO_REMOVE = tuple(replace(group, tensors=(*group.tensors, TensorCase((3,), missing=(2, 3, 4)))) for group in OWN_WARM_UPS)
_TO_REARRANGE = tuple(
    replace(group, rates=group.rates[:5] if isinstance(group.rates, tuple) else group.rates) for group in THREE_GROUPS
)
REARRANGED = tuple(
    RunCase(what.replace(" ", "-"), _TO_REMOVE if what == "removed" else _TO_REARRANGE, 5, rearranged=((2, what),))
    for what in ("parameters reversed", "groups reversed", "replaced", "removed")
)
OF_ANOTHER_SHAPE = tuple(
    several(how, EXACT, 4, TensorCase((3, 5)), resume_after=2, saved_as=how) for how in ("cut", "turned", "flat")
)
WIDER_STATE = (several("float64", EXACT, 5, TensorCase((3, 5)), TensorCase(()), resume_after=3, saved_as="wider"),)
HOOKED = (RunCase("wrapped", OWN_WARM_UPS, 5, resume_after=3, saved_as="hooked"),)
WITHOUT_OPTIONS = (RunCase("three-groups", _TO_REARRANGE, 5, resume_after=3, saved_as="without options"),)
# every layout, in each rank that has it
IN_PLACE = tuple(
    several(
        name, SCHEDULED, 3,
        *(
            TensorCase(SHAPES["small"][rank], layout=layout)
            for layout in OWN
            for rank in range(max(1, fewest_axes(layout)), 5)
        ),
        dtypes=dtypes, **options,
    )
    for name, dtypes, options in (
        ("every-layout", ("float32", "bfloat16"), {}),
        ("resumed", ("float32", "float16"), {"resume_after": 2, "quick": False}),
        ("accumulated", ("float64", "float32"), {"use": "accumulated", "quick": False}),
    )
)  # fmt: skip
