//! The optimizer. Moments are kept in f64, which is more exact than the class `strict` asks for.

use crate::json::Json;
use crate::tensors::{Dtype, Tensor, Tensors};
use std::collections::BTreeMap;

#[derive(Clone)]
struct Moments {
    m1: Tensor,
    m2: Tensor,
    nu: Tensor,
    t: usize,
    /// What t was when AdamW became AdEMAMix: the warm-ups count from there.
    t_at_switch: usize,
}

#[derive(Clone, Default)]
pub struct AdEMAMix {
    adamw: bool,
    states: BTreeMap<String, Moments>,
}

struct Scalars {
    alpha: f64,
    beta1: f64,
    beta2: f64,
    beta3: f64,
    eps: f64,
    decay: f64,
}

impl Scalars {
    /// Those of a step, warm-ups included; `since` is the number of steps since these began.
    fn of(hyper: &Json, since: f64) -> Scalars {
        let number = |name: &str| hyper.get(name).number().unwrap_or(0.0);
        let (beta1, mut beta3, mut alpha) = (number("beta1"), number("beta3"), number("alpha"));
        let (t_alpha, t_beta3) = (number("t_alpha"), number("t_beta3"));
        if t_alpha > 0.0 && since < t_alpha {
            alpha *= since / t_alpha;
        }
        if t_beta3 > 0.0 && since < t_beta3 && beta3 > 0.0 {
            let s = since / t_beta3;
            let (a, b) = (beta1.ln(), beta3.ln());
            beta3 = if beta1 == 0.0 {
                beta3.powf(1.0 / s)
            } else {
                (a * b / ((1.0 - s) * b + s * a)).exp().min(beta3)
            };
        }
        Scalars {
            alpha,
            beta1,
            beta2: number("beta2"),
            beta3,
            eps: number("eps"),
            decay: number("weight_decay"),
        }
    }
}

impl AdEMAMix {
    pub fn new(adamw: bool) -> AdEMAMix {
        AdEMAMix {
            adamw,
            ..Default::default()
        }
    }

    pub fn switch(&mut self) {
        self.adamw = false;
        for state in self.states.values_mut() {
            state.t_at_switch = state.t;
        }
    }

    /// One step of one parameter.
    pub fn step(
        &mut self,
        name: &str,
        hyper: &Json,
        eta: f64,
        theta: &mut Tensor,
        gradient: &[f64],
    ) {
        let zeros = || Tensor::zeros(Dtype::F64, &theta.shape);
        let state = self
            .states
            .entry(name.to_string())
            .or_insert_with(|| Moments {
                m1: zeros(),
                m2: zeros(),
                nu: zeros(),
                t: 0,
                t_at_switch: 0,
            });
        state.t += 1;
        let h = Scalars::of(hyper, (state.t - state.t_at_switch) as f64);
        let correction = |beta: f64| 1.0 - beta.powf(state.t as f64);
        let (correction1, correction2) = (correction(h.beta1), correction(h.beta2));
        for (i, &g) in gradient.iter().enumerate() {
            let (m1, m2, nu) = (
                &mut state.m1.values[i],
                &mut state.m2.values[i],
                &mut state.nu.values[i],
            );
            *m1 = h.beta1 * *m1 + (1.0 - h.beta1) * g;
            *nu = h.beta2 * *nu + (1.0 - h.beta2) * g * g;
            let mut numerator = *m1 / correction1;
            if !self.adamw {
                *m2 = h.beta3 * *m2 + (1.0 - h.beta3) * g;
                numerator += h.alpha * *m2;
            }
            let update =
                numerator / ((*nu / correction2).sqrt() + h.eps) + h.decay * theta.values[i];
            theta.values[i] = theta.dtype.round(theta.values[i] - eta * update);
        }
    }

    /// The moments as arrays, and the rest as JSON.
    pub fn save(&self) -> (Tensors, String) {
        let mut arrays = Tensors::new();
        let mut counts = Vec::new();
        for (name, state) in &self.states {
            for (moment, values) in [("m1", &state.m1), ("m2", &state.m2), ("nu", &state.nu)] {
                arrays.insert(format!("{moment}.{name}"), values.clone());
            }
            counts.push(format!("{name:?}: [{}, {}]", state.t, state.t_at_switch));
        }
        (
            arrays,
            format!(
                "{{\"adamw\": {}, \"counts\": {{{}}}}}",
                self.adamw,
                counts.join(", ")
            ),
        )
    }

    pub fn load(arrays: &Tensors, state: &Json) -> Result<AdEMAMix, String> {
        let mut states = BTreeMap::new();
        for (name, counts) in state.get("counts").members() {
            let moment = |which: &str| {
                arrays
                    .get(&format!("{which}.{name}"))
                    .cloned()
                    .ok_or(format!("no {which} of {name}"))
            };
            let counted: Vec<usize> = counts.items().iter().filter_map(Json::index).collect();
            let (m1, m2, nu) = (moment("m1")?, moment("m2")?, moment("nu")?);
            states.insert(
                name.clone(),
                Moments {
                    m1,
                    m2,
                    nu,
                    t: counted[0],
                    t_at_switch: counted[1],
                },
            );
        }
        Ok(AdEMAMix {
            adamw: state.get("adamw").is_true(),
            states,
        })
    }
}
